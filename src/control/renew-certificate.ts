/** Renews the API's certificate while it serves: connections that stand go on, new ones meet the new certificate. */
import { Server as TlsServer } from 'node:tls';
import type { Logger } from 'pino';
import type { Clock } from '../core/time.ts';
import { renewCertificates, type CertificateRequest, type Certificates } from '../secrets/certificates.ts';
import type { NamedPass } from './assemble.ts';

const day = 24 * 3_600_000;

export interface CertificateParts {
  /** What the server was started with. */
  present: Certificates;
  request: Omit<CertificateRequest, 'now'>;
  /** Node's own server beneath the API. */
  server: unknown;
  clock: Clock;
  log: Logger;
}

/** Looks once a day. */
export function renewCertificate({ present, request, server, clock, log }: CertificateParts): NamedPass {
  let certificates = present;
  return {
    name: 'certificates',
    pass: async () => {
      const renewed = await renewCertificates(certificates, { ...request, now: clock.now() });
      if (renewed === undefined) return day;
      if (server instanceof TlsServer) server.setSecureContext({ key: renewed.keyPem, cert: renewed.certificatePem });
      certificates = renewed;
      log.info('the certificate of the API was renewed');
      return day;
    },
  };
}
