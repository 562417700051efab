/**
 * Everything of a connection beside its sessions: forwarded ports and sockets in both directions, the agent, X11.
 * What the instance opens towards the person is let through only where the person asked for such a thing.
 */
import { joinForwards } from './join-streams.ts';
import type { ClientConnection, ForwardChannel, ServerConnection } from './ssh-types.ts';

export interface Permissions {
  agent: boolean;
  x11: boolean;
}

export interface ForwardTerms {
  /** The instance's end, once there is one; the first who asks has it looked for. */
  upstream: () => Promise<ClientConnection>;
  /** The same, for who only waits. */
  arrival: Promise<ClientConnection>;
  permissions: Readonly<Permissions>;
  /** Whether ports and sockets may be forwarded, in either direction. */
  mayForward: boolean;
  /** Bytes have come from the person or the instance. */
  moved: () => void;
}

export function carryForwards(
  client: ServerConnection,
  { upstream, arrival, permissions, mayForward, moved }: ForwardTerms,
): void {
  type Opened = (error: Error | undefined, channel: ForwardChannel) => void;

  /** Opens the other end first, so that who asks hears whether there is anybody. */
  function join(accept: () => ForwardChannel | undefined, reject: () => void, open: (opened: Opened) => void): void {
    open((error, other) => {
      if (error !== undefined) {
        reject();
        return;
      }
      const own = accept();
      if (own === undefined) other.close();
      else joinForwards(own, other, moved);
    });
  }

  client.on('tcpip', (accept, reject, { srcIP, srcPort, destIP, destPort }) => {
    if (!mayForward) {
      reject();
      return;
    }
    upstream().then((instance) => {
      join(accept, reject, (opened) => instance.forwardOut(srcIP, srcPort, destIP, destPort, opened));
    }, reject);
  });
  client.on('openssh.streamlocal', (accept, reject, { socketPath }) => {
    if (!mayForward) {
      reject();
      return;
    }
    upstream().then((instance) => {
      join(accept, reject, (opened) => instance.openssh_forwardOutStreamLocal(socketPath, opened));
    }, reject);
  });
  client.on('request', (...[accept, reject, name, info]) => {
    if (!mayForward) {
      reject?.();
      return;
    }
    const done = (error?: Error, port?: number): void => {
      if (error === undefined) accept?.(port);
      else reject?.();
    };
    upstream().then(
      (instance) => {
        switch (name) {
          case 'tcpip-forward':
            instance.forwardIn(info.bindAddr, info.bindPort, done);
            return;
          case 'cancel-tcpip-forward':
            instance.unforwardIn(info.bindAddr, info.bindPort, done);
            return;
          case 'streamlocal-forward@openssh.com':
            instance.openssh_forwardInStreamLocal(info.socketPath, done);
            return;
          case 'cancel-streamlocal-forward@openssh.com':
            instance.openssh_unforwardInStreamLocal(info.socketPath, done);
            return;
        }
      },
      () => {
        reject?.();
      },
    );
  });

  arrival.then(
    (instance) => {
      instance.on('tcp connection', ({ destIP, destPort, srcIP, srcPort }, accept, reject) => {
        if (!mayForward) reject();
        else join(accept, reject, (opened) => client.forwardOut(destIP, destPort, srcIP, srcPort, opened));
      });
      instance.on('unix connection', ({ socketPath }, accept, reject) => {
        if (!mayForward) reject();
        else join(accept, reject, (opened) => client.openssh_forwardOutStreamLocal(socketPath, opened));
      });
      instance.on('x11', ({ srcIP, srcPort }, accept, reject) => {
        if (permissions.x11) join(accept, reject, (opened) => client.x11(srcIP, srcPort, opened));
        else reject();
      });
      instance.on('auth agent', (accept, reject) => {
        if (permissions.agent) join(accept, reject, (opened) => client.openssh_authAgent(opened));
        else reject();
      });
    },
    () => undefined, // whoever asks is told
  );
}
