/**
 * `ssh-holder.ts PORT USER KEYFILE COUNT`: opens so many ssh connections with a shell each, prints `held` when all stand,
 * and holds them until its standard input ends. One process for all: 1,000 programs would be measured instead.
 */
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { connectSsh } from '../../src/gateway/ssh/library.ts';

const [port = '', user = '', keyFile = '', count = ''] = process.argv.slice(2);
const key = await readFile(keyFile, 'utf8');

function hold(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1');
    const client = connectSsh(socket, {
      username: user,
      attempts: [{ type: 'publickey', key }],
      verifyHostKey: (_key, decide) => decide(true),
    });
    client.once('error', reject);
    client.once('ready', () => {
      const pty = { term: 'xterm', cols: 80, rows: 24, width: 0, height: 0, modes: Buffer.of(0) };
      client.shell(pty, {}, (error, channel) => {
        if (error !== undefined) reject(error);
        else {
          channel.on('data', () => undefined);
          resolve();
        }
      });
    });
  });
}

const waves = 20;
for (let held = 0; held < Number(count); held += waves) await Promise.all(Array.from({ length: waves }, hold));
console.log('held');
process.stdin.resume().once('end', () => process.exit(0));
