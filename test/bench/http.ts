/**
 * HTTP and WebSockets through the gateway's own process, signed in, against configurable-http-proxy (JupyterHub's) and
 * HAProxy before the same back end. All three speak TLS with the client and plain HTTP with the back end.
 */
import { randomBytes, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { signInCookie } from '../../src/gateway/http/cookies.ts';
import { issueToken } from '../../src/gateway/http/sign-in-token.ts';
import { missingForSystemTests, must, repository, run, until } from '../e2e/installation.ts';
import type { Benchmark } from './benchmark.ts';
import { freePort, inTurns, onGround, routeTo, startGateway, startHaproxy } from './peers.ts';

const connections = 20;
const seconds = 5;
const endpoint = join(repository, 'test/bench/http-endpoint.ts');
type Way = 'gateway' | 'chp' | 'haproxy';

interface Site {
  ports: Record<Way, number>;
  cookie: string;
}

function onSite<T>(work: (site: Site) => Promise<T>): Promise<T> {
  return onGround('http', async (ground) => {
    const at = (name: string) => join(ground.folder, name);
    await must('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'],
      ...['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', at('key'), '-out', at('cert')],
    ]);
    const [certificate, certificateKey] = [await must('cat', [at('cert')]), await must('cat', [at('key')])];
    const backEnd = ground.start(process.execPath, endpoint, 'serve');
    if (backEnd.stdout === null) throw new Error('the back end has no output');
    const direct = Number(String((await once(backEnd.stdout, 'data'))[0]));

    const [gateway, chp, api] = [await freePort(), await freePort(), await freePort()];
    const cookieKey = randomBytes(32);
    const alice = { name: 'alice', pools: 'all' as const, keys: [] };
    const pem = () => generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }) as string; // PEM is text
    await startGateway(ground, [routeTo(gateway, direct, { protocol: 'http', pool: 'bench' })], {
      ...{ revision: '1', users: [alice], hostKeys: [], userAuthority: pem(), userAuthorities: [], instanceKeys: {} },
      web: { certificate, certificateKey, cookieKey: cookieKey.toString('base64'), assertionKey: pem() },
    });
    // Debian's, on the Node that the gateway runs on, whichever one is in the path.
    ground.start(
      'env',
      ...['NODE_PATH=/usr/share/nodejs', process.execPath, '/usr/bin/configurable-http-proxy'],
      ...['--ip', '127.0.0.1', '--port', String(chp), '--api-ip', '127.0.0.1', '--api-port', String(api)],
      ...['--ssl-key', at('key'), '--ssl-cert', at('cert'), '--log-level', 'error'],
      ...['--default-target', `http://127.0.0.1:${direct}`],
    );
    await writeFile(at('both'), `${certificate}${certificateKey}`);
    const haproxy = await startHaproxy(ground, direct, { mode: 'http', certificateFile: at('both') });
    const site: Site = {
      ports: { gateway, chp, haproxy },
      cookie: `${signInCookie}=${issueToken(cookieKey, 'bench', alice, Date.now())}`,
    };
    for (const port of Object.values(site.ports))
      await until(`port ${port} answers`, async () => {
        const argv = [
          '-sk',
          '-o',
          '/dev/null',
          '-w',
          '%{http_code}',
          '-b',
          site.cookie,
          `https://127.0.0.1:${port}/user/alice/x`,
        ];
        return (await run('curl', argv)).stdout === '200' ? true : undefined;
      });
    return work(site);
  });
}

/** Requests a second, as wrk counts them. */
async function requests(port: number, cookie: string): Promise<number> {
  const argv = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '-H', `Cookie: ${cookie}`];
  const printed = await must('wrk', [...argv, `https://127.0.0.1:${port}/user/alice/x`]);
  if (/Non-2xx/.test(printed)) throw new Error(`not every request was answered:\n${printed}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(printed)?.[1] ?? NaN);
}

/** Messages a second that went around. */
async function messages(port: number, cookie: string): Promise<number> {
  return Number(
    await must(process.execPath, [endpoint, 'echo', String(port), cookie, String(connections), String(seconds)]),
  );
}

function rate(
  name: string,
  atLeast: number,
  peer: 'chp' | 'haproxy',
  measure: (port: number, cookie: string) => Promise<number>,
): Benchmark {
  return {
    name,
    unit: 'x',
    goal: { atLeast },
    missing: async () =>
      (await missingForSystemTests(['wrk', 'haproxy', 'configurable-http-proxy', 'openssl'])) === undefined
        ? undefined
        : 'it needs root, wrk, HAProxy and configurable-http-proxy (apt-get install wrk haproxy node-configurable-http-proxy)',
    measure: (say) =>
      onSite(async ({ ports, cookie }) => {
        await measure(ports.gateway, cookie); // what compiles, compiles now
        await measure(ports[peer], cookie);
        const measured = await inTurns(3, ['gateway', peer], (way, round) => {
          say(`round ${round + 1} of 3, ${way}`);
          return measure(ports[way], cookie);
        });
        return {
          rounds: measured.gateway.map((ours, round) => ours / (measured[peer][round] ?? NaN)),
          peers: { 'gateway 1/s': measured.gateway, [`${peer} 1/s`]: measured[peer] },
        };
      }),
  };
}

export const httpRateChp = rate('http.rate.vs-chp', 2.5, 'chp', requests);
export const httpRateHaproxy = rate('http.rate.vs-haproxy', 0.6, 'haproxy', requests);
export const wsRateChp = rate('ws.rate.vs-chp', 1, 'chp', messages);
