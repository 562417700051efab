/** A small web server that the pools' script is fetched from: slow, so that a download can be met in the middle. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ScriptSource {
  /** `127.0.0.1:PORT`, for the configuration. */
  host: string;
  url: string;
  /** Downloads under way. */
  busy(): number;
  close(): Promise<void>;
}

/** Writes down each of its runs inside the instance, so that a run beside another one can be seen. */
const script = `set -e
echo begin >> /var/log/poolhouse-chaos
sleep 1
echo end >> /var/log/poolhouse-chaos
`;

export async function serveScript(): Promise<ScriptSource> {
  let busy = 0;
  const server = createServer((_request, response) => {
    busy += 1;
    response.once('close', () => (busy -= 1));
    response.write(script.slice(0, 10));
    setTimeout(() => response.end(script.slice(10)), 300);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on TCP
  return {
    host,
    url: `http://${host}/begin.sh`,
    busy: () => busy,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}
