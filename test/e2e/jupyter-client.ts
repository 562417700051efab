/** What a browser does at a pool: signs in at the front door, starts a server, runs cells and terminals, moves files. */
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { WebSocket } from 'ws';

export interface Reply {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

export class JupyterClient {
  private readonly cookies = new Map<string, string>();
  private readonly address: string;
  private readonly source: string;

  constructor(address: string, source: string) {
    this.address = address;
    this.source = source;
  }

  private cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** Gives what is downloaded as it comes. */
  download(path: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      request(
        {
          ...{ host: this.address, port: 8_000, path, localAddress: this.source, rejectUnauthorized: false },
          headers: { cookie: this.cookieHeader(), accept: '*/*', referer: `https://${this.address}:8000/hub/` },
        },
        resolve,
      )
        .on('error', reject)
        .end();
    });
  }

  send(method: string, path: string, body?: string, type = 'application/json'): Promise<Reply> {
    const xsrf = this.cookies.get('_xsrf');
    const headers = {
      cookie: this.cookieHeader(),
      accept: 'text/html, */*;q=0.8',
      ...(body === undefined ? {} : { 'content-type': type, 'content-length': String(Buffer.byteLength(body)) }),
      ...(xsrf === undefined ? {} : { 'x-xsrftoken': xsrf }),
      referer: `https://${this.address}:8000/hub/`,
    };
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: this.address,
          port: 8_000,
          path,
          method,
          headers,
          rejectUnauthorized: false,
          localAddress: this.source,
          timeout: 60_000,
        },
        (incoming) => {
          for (const cookie of incoming.headers['set-cookie'] ?? []) {
            const [name = '', value = ''] = (cookie.split(';')[0] ?? '').split(/=(.*)/s);
            if (value === '' || value === '""') this.cookies.delete(name);
            else this.cookies.set(name, value);
          }
          let text = '';
          incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          incoming.on('end', () => {
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text });
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  /** Follows redirects of a GET. */
  async visit(path: string): Promise<Reply> {
    let reply = await this.send('GET', path);
    for (let hops = 0; hops < 15 && reply.status >= 300 && reply.status < 400; hops += 1) {
      const location = new URL(String(reply.headers['location']), `https://${this.address}:8000${path}`);
      reply = await this.send('GET', `${location.pathname}${location.search}`);
    }
    return reply;
  }

  /** By the form of the front door: 303 where it was right, else the form again. */
  async signIn(user: string, password: string, next = '/'): Promise<Reply> {
    const page = await this.send('GET', '/poolhouse/signin');
    const proof = /name="proof" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
    return this.send(
      'POST',
      '/poolhouse/signin',
      new URLSearchParams({ user, password, proof, next }).toString(),
      'application/x-www-form-urlencoded',
    );
  }

  /** At the JupyterHub of a pool that signs people in there. */
  async signInAtHub(user: string, password: string): Promise<Reply> {
    return this.send(
      'POST',
      '/hub/login?next=',
      new URLSearchParams({ username: user, password }).toString(),
      'application/x-www-form-urlencoded',
    );
  }

  /** Starts the person's own notebook server, and waits until its page is there. */
  async startServer(user: string): Promise<void> {
    const deadline = Date.now() + 90_000;
    let reply = await this.visit('/hub/spawn');
    while (Date.now() < deadline) {
      reply = await this.visit(`/user/${user}/tree`);
      // Nobody was at the door yet when it was asked for, or none runs: a browser's page asks again by itself.
      if (reply.status === 424) reply = await this.visit('/hub/spawn');
      if (reply.status === 200 && reply.text.includes('notebook')) return;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    throw new Error(`no notebook server: ${reply.status} ${reply.text.slice(0, 500)}`);
  }

  /** Types a line into a new terminal, and waits for what shows that it ran. */
  async runInTerminal(user: string, line: string, shows: RegExp): Promise<string> {
    const made = await this.send('POST', `/user/${user}/api/terminals`);
    const { name } = JSON.parse(made.text) as { name: string };
    const socket = this.open(`/user/${user}/terminals/websocket/${name}`);
    try {
      return await new Promise((resolve, reject) => {
        let shown = '';
        const limit = setTimeout(() => {
          reject(new Error(`the terminal shows: ${shown}`));
        }, 30_000);
        socket.on('error', reject);
        socket.on('open', () => {
          socket.send(JSON.stringify(['stdin', `${line}\r`]));
        });
        socket.on('message', (data: Buffer) => {
          const [kind, text] = JSON.parse(data.toString('utf8')) as [string, string];
          if (kind === 'stdout') shown += text;
          if (!shows.test(shown)) return;
          clearTimeout(limit);
          resolve(shown);
        });
      });
    } finally {
      socket.close();
    }
  }

  private open(path: string): WebSocket {
    return new WebSocket(`wss://${this.address}:8000${path}`, {
      headers: { cookie: this.cookieHeader() },
      origin: `https://${this.address}:8000`,
      rejectUnauthorized: false,
      localAddress: this.source,
    });
  }

  /** Runs a cell in a new kernel, and gives what it printed. */
  async runCell(user: string, code: string): Promise<string> {
    const made = await this.send('POST', `/user/${user}/api/kernels`, JSON.stringify({ name: 'python3' }));
    if (made.status !== 201) throw new Error(`no kernel: ${made.status} ${made.text.slice(0, 300)}`);
    const { id } = JSON.parse(made.text) as { id: string };
    const socket = this.open(`/user/${user}/api/kernels/${id}/channels`);
    try {
      return await new Promise((resolve, reject) => {
        let printed = '';
        const limit = setTimeout(() => {
          reject(new Error(`the cell did not end; it printed: ${printed}`));
        }, 60_000);
        socket.on('error', reject);
        socket.on('open', () => {
          socket.send(
            JSON.stringify({
              header: {
                msg_id: 'cell',
                username: user,
                session: 'test',
                msg_type: 'execute_request',
                version: '5.3',
                date: new Date().toISOString(),
              },
              parent_header: {},
              metadata: {},
              channel: 'shell',
              content: {
                code,
                silent: false,
                store_history: false,
                user_expressions: {},
                allow_stdin: false,
                stop_on_error: true,
              },
            }),
          );
        });
        socket.on('message', (data: Buffer) => {
          const message = JSON.parse(data.toString('utf8')) as {
            msg_type: string;
            parent_header: { msg_id?: string };
            content: { text?: string; execution_state?: string; evalue?: string };
          };
          if (message.parent_header.msg_id !== 'cell') return;
          if (message.msg_type === 'stream') printed += message.content.text ?? '';
          if (message.msg_type === 'error') printed += message.content.evalue ?? '';
          if (message.msg_type === 'status' && message.content.execution_state === 'idle') {
            clearTimeout(limit);
            resolve(printed);
          }
        });
      });
    } finally {
      socket.close();
    }
  }
}
