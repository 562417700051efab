/** Renews the API's certificate while it serves: connections that stand go on, new ones meet the new certificate. */
import { Server as TlsServer } from 'node:tls';
import type { Logger } from 'pino';
import type { Clock } from '../core/time.ts';
import { renewCertificates, type CertificateRequest, type Certificates } from '../secrets/certificates.ts';
import type { NamedPass } from './assemble.ts';

const day = 24 * 3_600_000;

export interface CertificateParts {
  /** What the server serves with now. */
  present: () => Certificates;
  request: Omit<CertificateRequest, 'now'>;
  /** Node's own servers: beneath the API, and of files. */
  servers: readonly unknown[];
  renewed: (certificates: Certificates) => void;
  clock: Clock;
  log: Logger;
}

/** Looks once a day. */
export function renewCertificate({ present, request, servers, renewed, clock, log }: CertificateParts): NamedPass {
  return {
    name: 'certificates',
    pass: async () => {
      const certificates = await renewCertificates(present(), { ...request, now: clock.now() });
      if (certificates === undefined) return day;
      for (const server of servers)
        if (server instanceof TlsServer)
          server.setSecureContext({ key: certificates.keyPem, cert: certificates.certificatePem });
      renewed(certificates);
      log.info('the certificate of the API was renewed');
      return day;
    },
  };
}
