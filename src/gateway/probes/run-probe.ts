/** One question to one instance, as Azure asks it: does the port accept, or does the path answer 200. */
import { request } from 'node:http';
import { connect } from 'node:net';
import type { Probe } from '../../link/routes.ts';
import type { ProbeOutcome } from './probe-state.ts';

/** Asks once. Never rejects: whatever goes wrong is an outcome. `limitMs` bounds all of it. */
export type RunProbe = (
  probe: Pick<Probe, 'protocol' | 'port' | 'path'>,
  address: string,
  limitMs: number,
  signal: AbortSignal,
) => Promise<ProbeOutcome>;

export const runProbe: RunProbe = (probe, address, limitMs, signal) => {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  return probe.protocol === 'tcp' ? probeTcp(probe.port, address, limited) : probeHttp(probe, address, limited);
};

function probeTcp(port: number, host: string, signal: AbortSignal): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    socket.once('connect', () => {
      resolve({ ok: true, reason: `port ${String(port)} accepts` });
      // Closed with RST: no TIME_WAIT on the instance for a question that carried no byte.
      socket.resetAndDestroy();
    });
    socket.once('error', (error) => {
      resolve({ ok: false, reason: `port ${String(port)}: ${explain(error)}` });
    });
  });
}

function probeHttp(probe: Pick<Probe, 'port' | 'path'>, host: string, signal: AbortSignal): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const where = `GET ${probe.path} on port ${String(probe.port)}`;
    try {
      const asked = request({
        host,
        port: probe.port,
        path: probe.path,
        agent: false,
        signal,
        headers: { connection: 'close' },
      });
      asked.once('response', (response) => {
        const status = response.statusCode ?? 0;
        resolve({ ok: status === 200, reason: `${where}: ${String(status)}` });
        // The status was the question. The body is an instance's to make as long as it likes.
        response.destroy();
      });
      asked.once('error', (error) => {
        resolve({ ok: false, reason: `${where}: ${explain(error)}` });
      });
      asked.end();
    } catch (error) {
      // A path with characters that HTTP does not know.
      resolve({ ok: false, reason: `${where}: ${explain(error)}` });
    }
  });
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return 'no answer in time';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
