import { describe, expect, it } from 'vitest';
import { serviceRoutes, type ServiceFront } from './service-fronts.ts';

const server = { instance: 'fileserver', address: '10.231.3.254', accepting: true };
const smb: ServiceFront = {
  ...server,
  ...{ kind: 'carried', id: 'fileserver/smb', publicAddress: '192.0.2.1', publicPort: 445, port: 445 },
};
const port = () => 20_000;

describe('serviceRoutes', () => {
  it('carries bytes to the service', () => {
    expect(serviceRoutes([{ ...server, kind: 'closed' }, smb], [], port)).toMatchObject([
      {
        ...{ protocol: 'tcp', id: 'fileserver/smb', publicAddress: '192.0.2.1', publicPort: 445, listenPort: 20_000 },
        backends: [{ instance: 'fileserver', address: '10.231.3.254', port: 445, accepting: true }],
      },
    ]);
  });
  it('gives way to a front end of a pool', () => {
    const [taken] = serviceRoutes([smb], [], port);
    expect(serviceRoutes([smb], taken === undefined ? [] : [{ ...taken, id: 'a rule' }], port)).toEqual([]);
  });
  it('leads nowhere while the service does not run', () => {
    expect(serviceRoutes([{ ...smb, accepting: false }], [], port)).toMatchObject([{ backends: [] }]);
  });
  it('leaves to the kernel what the kernel leads', () => {
    expect(serviceRoutes([{ ...smb, kind: 'forwarded', clients: ['10.0.0.0/24'] }], [], port)).toEqual([]);
  });
});
