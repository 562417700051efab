import { createPrivateKey } from 'node:crypto';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  checkCertificate,
  formatCertificate,
  parseCertificate,
  signCertificate,
  verifyAuthority,
  type CertificateRequest,
} from './certificates.ts';
import { connectSsh, createSshServer, generateKey, parseKey } from './library.ts';
import type { AuthAttempt, Authentication, PublicKeyAuth } from './ssh-types.ts';
import { readPublicKey, verifySignature } from './ssh-keys.ts';
import { wireString } from './ssh-wire.ts';
import { connectPair, hostKey, insides, listen, sendRaw } from './test-support.ts';

const authority = parseKey(generateKey().private);
const alice = generateKey();
const now = Date.now();

function certify(publicKey: Buffer, changes: Partial<CertificateRequest> = {}): Buffer {
  return signCertificate(
    {
      type: 'user',
      key: publicKey,
      serial: 1n,
      keyId: 'alice',
      principals: ['alice'],
      validFrom: 0,
      validTo: now + 60_000,
      extensions: ['permit-pty'],
      ...changes,
    },
    createPrivateKey(authority.getPrivatePEM() ?? ''),
  );
}

describe('a user certificate', () => {
  it.each<[string, AuthAttempt]>([
    ['a blob', { type: 'publickey', key: alice.private, certificate: certify(parseKey(alice.private).getPublicSSH()) }],
    [
      'a line of a file',
      {
        type: 'publickey',
        key: alice.private,
        certificate: formatCertificate(certify(parseKey(alice.private).getPublicSSH())),
      },
    ],
  ])('as %s is shown by the client, and can be verified outside the library', async (_what, attempt) => {
    const seen: PublicKeyAuth[] = [];
    await connectPair({
      client: { attempts: [attempt] },
      onConnection: (connection) => {
        connection.on('authentication', (authentication) => {
          if (authentication.method !== 'publickey') {
            authentication.reject(['publickey']);
            return;
          }
          seen.push(authentication);
          if (authentication.signatureRaw === undefined || authentication.blob === undefined) {
            authentication.accept();
            return;
          }
          const certificate = parseCertificate(authentication.key.data);
          verifyAuthority(certificate, [authority.getPublicSSH()]);
          checkCertificate(certificate, { type: 'user', principal: authentication.username, now });
          if (verifySignature(certificate.key, authentication.signatureRaw, authentication.blob))
            authentication.accept();
          else authentication.reject();
        });
      },
    });
    expect(seen.map(({ algorithm, key }) => [algorithm, key.algo])).toEqual(
      Array.from({ length: 2 }, () => Array.from({ length: 2 }, () => 'ssh-ed25519-cert-v01@openssh.com')),
    );
  });

  it('of another key is not tried', async () => {
    const other = certify(parseKey(generateKey().private).getPublicSSH());
    await expect(
      connectPair({ client: { attempts: [{ type: 'publickey', key: alice.private, certificate: other }] } }),
    ).rejects.toThrow(/authentication methods failed/);
  });

  it('does not make a signature of somebody else good', async () => {
    const verdicts: boolean[] = [];
    await connectPair({
      client: { attempts: [{ type: 'publickey', key: alice.private }] },
      onConnection: (connection) => {
        connection.on('authentication', (authentication) => {
          if (authentication.method === 'publickey' && authentication.signatureRaw !== undefined) {
            const key = readPublicKey(authentication.key.data);
            const signed = authentication.blob ?? Buffer.alloc(0);
            verdicts.push(verifySignature(key, authentication.signatureRaw, signed));
            verdicts.push(verifySignature(key, authentication.signatureRaw, signed.subarray(1)));
          }
          authentication.accept();
        });
      },
    });
    expect(verdicts).toEqual([true, false]);
  });
});

describe('a key of a security token', () => {
  it.each(['sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com', 'sk-ssh-ed25519-cert-v01@openssh.com'])(
    '%s arrives as it was sent',
    async (algorithm) => {
      const key = Buffer.concat([wireString(algorithm), wireString(Buffer.alloc(32, 7)), wireString('ssh:')]);
      const plain = algorithm
        .replace('-cert-v01', '')
        .replace(/^sk-ssh-ed25519@openssh.com$/, 'sk-ssh-ed25519@openssh.com');
      const signature = Buffer.concat([
        wireString(plain),
        wireString(Buffer.alloc(64, 9)),
        Buffer.from('0100000005', 'hex'),
      ]);
      const arrived = Promise.withResolvers<PublicKeyAuth>();
      const { port } = await listen((connection) => {
        connection.on('authentication', (authentication) => {
          if (authentication.method === 'publickey') arrived.resolve(authentication);
        });
      });
      const client = await unauthenticated(port);
      const request = Buffer.concat([
        Buffer.of(50),
        ...['alice', 'ssh-connection', 'publickey'].map((text) => wireString(text)),
        Buffer.of(1),
        wireString(algorithm),
        wireString(key),
      ]);
      sendRaw(client, Buffer.concat([request, wireString(signature)]));
      const seen = await arrived.promise;
      expect(seen).toMatchObject({ algorithm, key: { algo: algorithm, data: key }, signatureRaw: signature });
      expect(seen.blob?.subarray(-request.length)).toEqual(request);
    },
  );
});

describe('a host certificate', () => {
  const certificate = certify(parseKey(hostKey.private).getPublicSSH(), {
    type: 'host',
    principals: ['pool'],
    extensions: [],
  });

  it('is offered before the bare key, and the bare key stays for who does not ask', async () => {
    const keys: Buffer[] = [];
    const { negotiated } = await connectPair({
      server: { hostKeys: [{ key: hostKey.private, certificate }] },
      client: {
        verifyHostKey: (key, decide) => {
          keys.push(key);
          decide(true);
        },
      },
    });
    expect(negotiated.serverHostKey).toBe('ssh-ed25519');
    expect(keys).toEqual([parseKey(hostKey.private).getPublicSSH()]);
  });

  it('of another key is refused when the server is made', () => {
    const options = { hostKeys: [{ key: generateKey().private, certificate }] };
    expect(() => createSshServer(options, () => undefined)).toThrow(/does not fit the key/);
  });
});

describe('the order of sign-ins', () => {
  it('answers requests that came at once in their order', async () => {
    const waiting: Authentication[] = [];
    const { port } = await listen((connection) => connection.on('authentication', (one) => waiting.push(one)));
    const client = await unauthenticated(port);
    for (const method of ['none', 'publickey', 'password', 'gssapi-with-mic']) sendRaw(client, authRequest(method));
    const order: string[] = [];
    for (const _each of Array.from({ length: 4 })) {
      while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
      const one = waiting.shift();
      order.push(one?.method ?? '');
      if (one?.method === 'publickey') one.accept(); // throws where another is thought to be in progress
      one?.reject(['publickey']);
    }
    expect(order).toEqual(['none', 'publickey', 'password', 'gssapi-with-mic']);
  });

  it('takes another method while an answer to a prompt is waited for', async () => {
    const done = Promise.withResolvers<unknown>();
    const { port } = await listen((connection) => {
      connection.on('authentication', (one) => {
        if (one.method === 'keyboard-interactive') {
          one.prompt([{ prompt: 'Code: ', echo: false }], '', '', (answers) => {
            if (answers instanceof Error) one.reject();
          });
        }
        if (one.method === 'publickey') {
          try {
            one.accept();
            done.resolve('accepted');
          } catch (error) {
            done.resolve(error);
          }
        }
      });
    });
    const client = await unauthenticated(port);
    sendRaw(client, authRequest('keyboard-interactive'));
    sendRaw(client, authRequest('publickey'));
    expect(await done.promise).toBe('accepted');
  });
});

function authRequest(method: string): Buffer {
  const fields: Record<string, Buffer> = {
    publickey: Buffer.concat([
      Buffer.of(0),
      wireString('ssh-ed25519'),
      wireString(parseKey(alice.private).getPublicSSH()),
    ]),
    password: Buffer.concat([Buffer.of(0), wireString('secret')]),
    'keyboard-interactive': Buffer.concat([wireString(''), wireString('')]),
    'gssapi-with-mic': Buffer.concat([Buffer.from('00000001', 'hex'), wireString('oid')]),
  };
  return Buffer.concat([
    Buffer.of(50),
    wireString('alice'),
    wireString('ssh-connection'),
    wireString(method),
    fields[method] ?? Buffer.alloc(0),
  ]);
}

/** A client that has keys, and tries nothing by itself. */
async function unauthenticated(port: number): Promise<object> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => {
    socket.destroy();
  });
  const client = connectSsh(socket, { username: 'alice', attempts: [], verifyHostKey: (_key, decide) => decide(true) });
  client.on('error', () => undefined);
  const handlers = (insides(client)._protocol as unknown as { _handlers: Record<string, unknown> })._handlers;
  await new Promise<void>((resolve) => {
    handlers['SERVICE_ACCEPT'] = () => resolve();
  });
  for (const name of ['USERAUTH_FAILURE', 'USERAUTH_PK_OK', 'USERAUTH_INFO_REQUEST']) handlers[name] = () => undefined;
  return client;
}
