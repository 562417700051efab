import { ensureCertificates } from '../secrets/certificates.ts';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureAzConfiguration, withoutProxy, type AzRequest } from './az.ts';
import { silentProgress } from './progress.ts';
import { runCommand } from './run-command.ts';

const azInstalled = (await runCommand('sh', ['-c', 'command -v az'])).exitCode === 0;
const secret = '-begins-with-a-hyphen';

describe('what az reaches without a proxy', () => {
  it.each([
    [{}, '127.0.0.1,localhost'],
    [{ no_proxy: 'a.internal, b.internal' }, 'a.internal,b.internal,127.0.0.1,localhost'],
    [{ NO_PROXY: 'a.internal' }, 'a.internal,127.0.0.1,localhost'],
    [{ no_proxy: 'lower', NO_PROXY: 'upper' }, 'lower,127.0.0.1,localhost'],
    [{ no_proxy: 'localhost,127.0.0.1' }, 'localhost,127.0.0.1'],
    [{ no_proxy: '*' }, '*,127.0.0.1,localhost'],
  ])('with %j is %s', (environment, direct) => {
    expect(withoutProxy(environment)).toBe(direct);
  });
});

describe('the configuration of az', () => {
  let folder: string;
  let request: AzRequest;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-az-'));
    const caFile = join(folder, 'ca.pem');
    await writeFile(caFile, 'an authority');
    request = {
      folder: join(folder, 'az'),
      profile: 'latest',
      url: 'https://127.0.0.1:1',
      caFile,
      tenantId: 'a3b5d0f0-0000-4000-8000-000000000001',
      clientId: 'a3b5d0f0-0000-4000-8000-000000000002',
      secret,
      environment: { ...process.env, PATH: `${join(folder, 'bin')}:/usr/bin:/bin` },
      progress: silentProgress,
      signal: AbortSignal.timeout(110_000),
    };
    await mkdir(join(folder, 'bin'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** An az that notes what it is called with, and then does as `script` says. */
  async function fakeAz(script: string): Promise<() => Promise<string[]>> {
    const file = join(folder, 'bin', 'az');
    await writeFile(file, `#!/bin/sh\necho "$@" >> ${folder}/calls\n${script}\n`);
    await chmod(file, 0o755);
    return async () => (await readFile(join(folder, 'calls'), 'utf8').catch(() => '')).trim().split('\n');
  }

  it('is made once, also when two ask at the same time', async () => {
    const calls = await fakeAz('test "$1" != login || cat "$AZURE_CONFIG_DIR/secret" > "$AZURE_CONFIG_DIR/../given"');
    const [one, two] = await Promise.all([ensureAzConfiguration(request), ensureAzConfiguration(request)]);
    expect(one).toEqual(two);
    expect(one).toMatchObject({
      AZURE_CONFIG_DIR: join(folder, 'az', 'latest'),
      REQUESTS_CA_BUNDLE: request.caFile,
      NO_PROXY: expect.stringContaining('127.0.0.1') as string,
      no_proxy: expect.stringContaining('127.0.0.1') as string,
    });
    await ensureAzConfiguration(request);
    expect((await calls()).map((call) => call.split(' ').slice(0, 2).join(' '))).toEqual([
      'cloud register',
      'cloud set',
      'login --service-principal',
    ]);
    expect(await readFile(join(folder, 'az', 'given'), 'utf8')).toBe(secret);
  });

  it('is made anew for another endpoint, secret or authority', async () => {
    const calls = await fakeAz('');
    await ensureAzConfiguration(request);
    await ensureAzConfiguration({ ...request, url: 'https://127.0.0.1:2' });
    expect(await calls()).toHaveLength(6);
    const changed = { ...request, url: 'https://127.0.0.1:2', secret: 'another' };
    await ensureAzConfiguration(changed);
    expect(await calls()).toHaveLength(9);
    await writeFile(request.caFile, 'another authority');
    await ensureAzConfiguration(changed);
    expect(await calls()).toHaveLength(12);
  });

  it('holds the secret in no argument, and leaves no copy', async () => {
    const calls = await fakeAz('test "$1" != login');
    await expect(ensureAzConfiguration(request)).rejects.toThrow(`'az login --service-principal' failed`);
    expect((await calls()).join()).not.toContain(secret);
    await expect(readFile(join(folder, 'az', 'latest', 'secret'))).rejects.toThrow('ENOENT');
  });

  it('is not taken for made when signing in failed', async () => {
    await fakeAz(`echo "ERROR: no good: ${secret}" >&2; exit 1`);
    const failing = ensureAzConfiguration(request);
    await expect(failing).rejects.toMatchObject({
      code: 'HostNotReady',
      message: expect.stringContaining('ERROR: no good: …') as string,
    });
    const calls = await fakeAz('');
    await ensureAzConfiguration(request);
    expect(await calls()).toHaveLength(4);
  });

  it('says that az is missing only where it is', async () => {
    request.environment = { PATH: join(folder, 'bin') };
    await expect(ensureAzConfiguration(request)).rejects.toThrow('apt-get install azure-cli');
    await writeFile(join(folder, 'bin', 'az'), '');
    await expect(ensureAzConfiguration(request)).rejects.toThrow('EACCES');
    const stop = AbortSignal.abort(new Error('stopped by the person'));
    await expect(ensureAzConfiguration({ ...request, signal: stop })).rejects.not.toThrow('apt-get install');
  });

  it('says that control has to run first', async () => {
    await fakeAz('');
    await expect(ensureAzConfiguration({ ...request, caFile: join(folder, 'none') })).rejects.toThrow(
      `'poolhouse up' starts it`,
    );
  });

  it.runIf(azInstalled)(
    'lets the real az sign in, past a proxy that leads nowhere and with an odd secret',
    { timeout: 120_000 },
    async () => {
      const keys = new Map<string, string>();
      const { certificatePem: cert, keyPem: key } = await ensureCertificates({
        folder: join(folder, 'real'),
        keys: {
          read: (name) => Promise.resolve(keys.get(name)),
          write: (name, pem) => Promise.resolve(void keys.set(name, pem)),
        },
        names: ['127.0.0.1'],
        now: Date.now(),
      });
      await copyFile(join(folder, 'real', 'ca.pem'), request.caFile);
      const forms: string[] = [];
      const server: Server = createServer({ cert, key }, (incoming, response) => {
        let form = '';
        incoming.setEncoding('utf8').on('data', (text: string) => (form += text));
        incoming.on('end', () => {
          if (form !== '') forms.push(form);
          response.setHeader('content-type', 'application/json').end(JSON.stringify(answer(incoming.url ?? '')));
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`; // a TCP server has one
      const answer = (path: string): object => {
        if (path.startsWith('/metadata/endpoints'))
          return {
            galleryEndpoint: url,
            graphEndpoint: url,
            portalEndpoint: url,
            authentication: { loginEndpoint: `${url}/adfs`, audiences: [url] },
          };
        if (path.endsWith('/.well-known/openid-configuration'))
          return {
            issuer: `${url}/adfs`,
            authorization_endpoint: `${url}/adfs/oauth2/authorize`,
            token_endpoint: `${url}/adfs/oauth2/token`,
          };
        if (path.startsWith('/adfs/oauth2/token'))
          return { access_token: 'token', token_type: 'Bearer', expires_in: 3600 };
        const subscriptionId = 'a3b5d0f0-0000-4000-8000-000000000003';
        return {
          value: [{ id: `/subscriptions/${subscriptionId}`, subscriptionId, displayName: 'Test', state: 'Enabled' }],
        };
      };
      try {
        const proxy = 'http://127.0.0.1:9';
        request.environment = {
          ...process.env,
          HTTPS_PROXY: proxy,
          https_proxy: proxy,
          HTTP_PROXY: proxy,
          http_proxy: proxy,
        };
        delete request.environment['NO_PROXY'];
        delete request.environment['no_proxy'];
        const variables = await ensureAzConfiguration({ ...request, url });
        expect(new URLSearchParams(forms[0]).get('client_secret')).toBe(secret);
        const shown = await runCommand('az', ['account', 'show', '-o', 'json'], {
          env: { ...request.environment, ...variables },
        });
        expect(JSON.parse(shown.stdout)).toMatchObject({ name: 'Test', environmentName: 'Poolhouse' });
      } finally {
        server.closeAllConnections();
        server.close();
      }
    },
  );
});
