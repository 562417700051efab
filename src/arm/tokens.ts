/** Access tokens: who signed in as the installation's service principal may use the ARM API for an hour. */
import { SignJWT, jwtVerify } from 'jose';
import { PoolhouseError } from '../core/errors.ts';
import type { Clock } from '../core/time.ts';

export interface ServicePrincipal {
  tenantId: string;
  clientId: string;
  /** Compares in constant time. */
  secretFits(secret: string): boolean;
}

export interface Tokens {
  /** The token and its life in seconds; undefined where id or secret are wrong; `TooManyRequests` where they are again and again. */
  issue(clientId: string, secret: string, issuer: string): Promise<{ token: string; expiresIn: number } | undefined>;
  /** Who signed in; `AuthenticationFailed` unless the header carries a token of ours that has not ended. */
  verify(authorization: string | undefined): Promise<string>;
}

const lifeSeconds = 3_600;
const audience = 'https://management.poolhouse.internal/';
/** Wrong secrets in a minute that are told apart from a flood of them. The right one is never kept out. */
const mostFailures = 20;

/** @param keys asked at every use: the first signs, all verify */
export function createTokens(keys: () => readonly Uint8Array[], principal: ServicePrincipal, clock: Clock): Tokens {
  let failures: number[] = [];
  const signingKey = (): Uint8Array => {
    const [first] = keys();
    if (first === undefined) throw new Error('there is no key to sign tokens with');
    return first;
  };
  return {
    async issue(clientId, secret, issuer) {
      const now = clock.now();
      failures = failures.filter((at) => now - at < 60_000);
      const fits = principal.secretFits(secret) && clientId.toLowerCase() === principal.clientId.toLowerCase();
      if (!fits) {
        failures.push(now);
        failures = failures.slice(-mostFailures);
        if (failures.length < mostFailures) return undefined;
        throw new PoolhouseError('TooManyRequests', 'Too many wrong sign-ins. Wait a minute.', { retryable: true });
      }
      const token = await new SignJWT({
        tid: principal.tenantId,
        appid: principal.clientId,
        oid: principal.clientId,
        idtyp: 'app',
        ver: '1.0',
      })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(principal.clientId)
        .setIssuedAt(Math.floor(now / 1_000))
        .setNotBefore(Math.floor(now / 1_000) - 60)
        .setExpirationTime(Math.floor(now / 1_000) + lifeSeconds)
        .sign(signingKey());
      return { token, expiresIn: lifeSeconds };
    },
    async verify(authorization) {
      const token = /^Bearer\s+(\S+)$/i.exec(authorization ?? '')?.[1];
      const failed = (why: string, cause?: unknown) =>
        new PoolhouseError(
          'AuthenticationFailed',
          `Authentication failed. ${why} Sign in again: eval "$(poolhouse az-env)".`,
          cause === undefined ? {} : { cause },
        );
      if (token === undefined) throw failed(`The 'Authorization' header is missing or not a bearer token.`);
      const verify = (key: Uint8Array) =>
        jwtVerify(token, key, {
          audience,
          algorithms: ['HS256'],
          currentDate: new Date(clock.now()),
          requiredClaims: ['exp', 'sub'],
        });
      const { payload } = await Promise.any(keys().map(verify)).catch((error: unknown) => {
        throw failed(`The access token is invalid or has ended.`, error);
      });
      return payload.sub ?? '';
    },
  };
}
