/**
 * The two ends of a throughput measurement, as cheap as they can be: what is measured is what stands between them.
 * `endpoint.ts serve BYTES` sends so many to whoever connects and prints its port; `endpoint.ts fetch PORT BYTES` reads
 * them, and prints how many milliseconds that took.
 */
import { connect, createServer, type AddressInfo } from 'node:net';

const chunk = Buffer.alloc(1 << 20);

function serve(bytes: number): void {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    let left = bytes;
    const send = () => {
      while (left > 0) {
        const size = Math.min(left, chunk.length);
        left -= size;
        if (!socket.write(size === chunk.length ? chunk : chunk.subarray(0, size)))
          return void socket.once('drain', send);
      }
      socket.end();
    };
    send();
  });
  server.listen(0, '127.0.0.1', () => {
    console.log((server.address() as AddressInfo).port); // a TCP server has one
  });
}

function fetch(port: number, bytes: number): void {
  const begun = performance.now();
  let got = 0;
  const memory = Buffer.alloc(1 << 20);
  const socket = connect({
    host: '127.0.0.1',
    port,
    onread: {
      buffer: memory,
      callback: (count) => {
        got += count;
        return true;
      },
    },
  });
  socket.on('close', (failed) => {
    if (failed || got !== bytes) throw new Error(`${got} of ${bytes} bytes came`);
    console.log(performance.now() - begun);
  });
}

const [what, ...numbers] = process.argv.slice(2);
const [first = NaN, second = NaN] = numbers.map(Number);
if (what === 'serve') serve(first);
else if (what === 'fetch') fetch(first, second);
else throw new Error('endpoint.ts serve BYTES, or endpoint.ts fetch PORT BYTES');
