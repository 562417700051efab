/** Certificates: of people, by an authority that the operator trusts, and of the host key that clients see. */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatCertificate, signCertificate, userExtensions, type CertificateRequest } from './certificates.ts';
import { generateKey } from './library.ts';
import { clientsMissing, openSshDoor, start, type SshDoor } from './ssh-door.ts';
import { encodePublicKey } from './ssh-keys.ts';

describe.skipIf(clientsMissing !== undefined)(
  `with a certificate of an authority that the operator trusts (${clientsMissing ?? 'by the clients of OpenSSH'})`,
  { timeout: 60_000 },
  () => {
    const authority = generateKeyPairSync('ed25519').privateKey;
    const certify = async (door: SshDoor, changes: Partial<CertificateRequest>) => {
      const own = await readFile(join(door.folder, 'certified.pub'), 'utf8');
      const request = {
        type: 'user' as const,
        key: Buffer.from(own.split(' ')[1] ?? '', 'base64'),
        serial: 7n,
        keyId: 'alice of the authority',
        principals: ['alice'],
        validFrom: 0,
        validTo: Date.now() + 600_000,
        extensions: userExtensions,
        ...changes,
      };
      await writeFile(join(door.folder, 'certified-cert.pub'), formatCertificate(signCertificate(request, authority)));
    };
    const withCertificate = (door: SshDoor, ...more: string[]) => {
      const own = door.options('-i', join(door.folder, 'certified'), '-o', 'BatchMode=yes', '-p', String(door.port));
      return start('ssh', [...own, ...more]);
    };
    const openTrustingDoor = async () => {
      const door = await openSshDoor();
      const own = generateKey();
      await writeFile(join(door.folder, 'certified'), own.private, { mode: 0o600 });
      await writeFile(join(door.folder, 'certified.pub'), own.public);
      door.directory.userAuthorities = [`ssh-ed25519 ${encodePublicKey(authority).blob.toString('base64')}`];
      await door.serve();
      return door;
    };

    it('somebody comes in who is known', async () => {
      const door = await openTrustingDoor();
      await certify(door, {});
      expect(await withCertificate(door, 'alice@127.0.0.1', 'echo in').done).toMatchObject({ code: 0, stdout: 'in\n' });
      expect(door.logged.map(({ fields }) => fields['how'])).toContain('certificate alice of the authority (serial 7)');
      expect(door.sshd.grants).toEqual([{ forceCommand: undefined, extensions: new Set(userExtensions) }]);
      await certify(door, { principals: ['carol'] });
      expect(await withCertificate(door, 'carol@127.0.0.1', 'echo in').done).toMatchObject({ code: 255, stdout: '' });
    });

    it('they come from the networks that it names, and from no other', async () => {
      const door = await openTrustingDoor();
      await certify(door, { sourceAddresses: ['192.0.2.0/24', '127.0.0.0/8'] });
      expect(await withCertificate(door, 'alice@127.0.0.1', 'echo in').done).toMatchObject({ code: 0 });
      await certify(door, { sourceAddresses: ['192.0.2.0/24'] });
      expect(await withCertificate(door, 'alice@127.0.0.1', 'echo in').done).toMatchObject({ code: 255, stdout: '' });
    });

    it('the instance is told which command it forces, and the front door answers none of its own', async () => {
      const door = await openTrustingDoor();
      await certify(door, { forceCommand: 'backup' });
      expect(await withCertificate(door, 'alice@127.0.0.1', 'keys').done).toMatchObject({ code: 127 });
      expect(door.asked).toEqual([]);
      expect(door.sshd.grants).toMatchObject([{ forceCommand: 'backup' }]);
    });

    it('what it does not permit is refused here, and the instance is not told that it is permitted', async () => {
      const door = await openTrustingDoor();
      await certify(door, { extensions: ['permit-user-rc'] });
      const terminal = await withCertificate(door, '-tt', 'alice@127.0.0.1', 'echo in').done;
      expect(terminal).toMatchObject({ code: 255, stderr: expect.stringContaining('PTY allocation') as string });
      expect(door.sshd.terminals).toEqual([]);
      door.sshd.grants.splice(0);
      expect(await withCertificate(door, 'alice@127.0.0.1', 'echo in').done).toMatchObject({ code: 0, stdout: 'in\n' });
      expect(door.sshd.grants).toEqual([{ forceCommand: undefined, extensions: new Set(['permit-user-rc']) }]);
      const forwarded = withCertificate(
        door,
        '-o',
        'ExitOnForwardFailure=yes',
        '-N',
        '-R',
        '0:127.0.0.1:1',
        'alice@127.0.0.1',
      );
      expect(await forwarded.done).toMatchObject({ code: 255 });
      expect(await withCertificate(door, '-W', '127.0.0.1:1', 'alice@127.0.0.1').done).toMatchObject({ code: 255 });
    });

    it('shows the certificate of its host key to who trusts its authority, and keeps it back once it has ended', async () => {
      const door = await openSshDoor();
      const authority = generateKeyPairSync('ed25519').privateKey;
      const certify = (validTo: number) =>
        formatCertificate(
          signCertificate(
            {
              type: 'host',
              key: encodePublicKey(createPrivateKey(door.directory.hostKeys[0] ?? '')).blob,
              serial: 1n,
              keyId: 'pool',
              principals: ['pool.test'],
              validFrom: 0,
              validTo,
            },
            authority,
          ),
        );
      const line = `@cert-authority pool.test ssh-ed25519 ${encodePublicKey(authority).blob.toString('base64')}\n`;
      await writeFile(join(door.folder, 'authorities'), line);
      const argv = () => [
        ...['-F', 'none', '-i', join(door.folder, 'key'), '-o', 'BatchMode=yes', '-p', String(door.port)],
        ...['-o', `UserKnownHostsFile=${join(door.folder, 'authorities')}`, '-o', 'StrictHostKeyChecking=yes'],
        ...['-o', 'HostKeyAlias=pool.test', 'alice@127.0.0.1', 'echo in'],
      ];
      door.directory = { ...door.directory, hostCertificates: [certify(Date.now() + 600_000)] };
      await door.serve();
      expect(await start('ssh', argv()).done).toMatchObject({ code: 0, stdout: 'in\n' });
      door.directory = { ...door.directory, hostCertificates: [certify(Date.now() - 1_000)] };
      await door.serve();
      expect(await start('ssh', argv()).done).toMatchObject({ code: 255 });
      expect(door.logged).toContainEqual({
        fields: { reason: expect.stringContaining('expired') as string },
        message: 'a host certificate is not shown to clients',
      });
      expect(await door.ssh('alice', 'echo in').done).toMatchObject({ code: 0 });
    });
  },
);
