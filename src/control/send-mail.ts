/** Sends e-mail through the SMTP server that an operator has named. Each message has a connection of its own. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, isIP } from 'node:net';
import { createTransport } from 'nodemailer';
import type { Config } from '../core/config.ts';
import { PoolhouseError } from '../core/errors.ts';

export interface Mail {
  to: readonly string[];
  subject: string;
  text: string;
}

/** Fails with `InvalidConfiguration` where the password cannot be read, `InvalidParameter` where an address is none. */
export type SendMail = (mail: Mail, signal: AbortSignal) => Promise<void>;

/** An aborted signal closes the connection at once. The password is read anew each time: it may be changed without a restart. */
export function createSendMail(smtp: NonNullable<Config['smtp']>): SendMail {
  const { host, port, secure, user, passwordFile, from } = smtp;
  return async ({ to, subject, text }, signal) => {
    const wrong = to.find((address) => !isAddress(address));
    if (wrong !== undefined)
      throw new PoolhouseError('InvalidParameter', `'${wrong.slice(0, 80)}' is not an e-mail address.`);
    const auth = user === undefined ? {} : { auth: { user, pass: await readPassword(passwordFile) } };
    // A connection of our own, so that ending it ends everything: the library's limits know only silence.
    const socket = connect({ host, port, signal });
    socket.on('error', () => undefined); // whoever waits for it is told
    try {
      await once(socket, 'connect', { signal });
      const transport = createTransport({
        ...{ host, port, secure, connection: socket, ...auth },
        // A password goes to another machine only where nobody can read it on the way.
        requireTLS: !secure && user !== undefined && !isThisMachine(host),
        ...(isIP(host) === 0 ? { tls: { servername: host } } : {}),
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      const ended = once(socket, 'close').then(() => {
        throw new Error('the connection to the SMTP server has ended');
      });
      ended.catch(() => undefined); // it may end after the message has gone
      const recipients = to.map((address) => ({ name: '', address }));
      await Promise.race([transport.sendMail({ from, to: recipients, subject, text }), ended]);
    } finally {
      socket.destroy();
    }
  };
}

async function readPassword(file: string | undefined): Promise<string> {
  if (file === undefined) return '';
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new PoolhouseError(
      'InvalidConfiguration',
      `The password file ${file} ('smtp.passwordFile' in config.json) cannot be read.`,
      { cause: error },
    );
  }
}

const isAddress = (text: string) => text.length <= 254 && /^[^\s@<>,;:"\p{Cc}]+@[^\s@<>,;:"\p{Cc}]+$/u.test(text);
const isThisMachine = (host: string) =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
