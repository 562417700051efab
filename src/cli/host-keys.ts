import { createHash } from 'node:crypto';
import { Command } from 'commander';
import { askControl } from '../host/local-api.ts';
import { adminSocketOf } from './admin-socket.ts';
import { printAnswer } from './people-words.ts';
import type { Shared } from './shared.ts';

export function hostKeysCommand({ home }: Shared): Command {
  return new Command('host-keys')
    .description('print the public host keys that every pool shows, for known_hosts or for an authority to sign')
    .option('--json', 'print them as one JSON document, with their fingerprints')
    .addHelpText(
      'after',
      `\nExamples:\n  poolhouse host-keys | head -n 1 > pool.pub          the best of them\n  ssh-keygen -s host_ca -h -I pool -n pool.example.org -V +52w pool.pub\n\nThen name pool-cert.pub in 'hostCertificateFiles' of ${home.config}: clients with the line\n'@cert-authority *.example.org ssh-ed25519 AAAA…' in their known_hosts need to know no host key.`,
    )
    .action(async (options: { json?: true }) => {
      const answer = JSON.parse(await askControl(await adminSocketOf({ home }), '/v1/host-keys')) as {
        hostKeys: string[];
      }; // of our own process
      printAnswer(options, answer.hostKeys.map(describe), () => `${answer.hostKeys.join('\n')}\n`);
    });
}

function describe(line: string): { key: string; fingerprint: string } {
  const digest = createHash('sha256').update(Buffer.from(line.split(' ')[1] ?? '', 'base64'));
  return { key: line, fingerprint: `SHA256:${digest.digest('base64').replace(/=+$/, '')}` };
}
