/**
 * Who is it? Answers the client's attempts to sign in by public key, password or keyboard-interactive, and by certificates
 * of authorities that the operator trusts. Whoever is let in is named by `ready`; the pool decides what they may enter.
 */
import { createHash, type KeyObject } from 'node:crypto';
import { PoolhouseError } from '../../core/errors.ts';
import type { Attempt, SignIn } from '../people/sign-in.ts';
import {
  checkCertificate,
  isCertificateAlgorithm,
  parseCertificate,
  verifyAuthority,
  type CertificateGrant,
} from './certificates.ts';
import { isSecurityKey, verifySecurityKey } from './security-keys.ts';
import { readPublicKey, verifySignature } from './ssh-keys.ts';
import type { Authentication, KeyboardAuth, PublicKeyAuth, ServerConnection } from './ssh-types.ts';

export interface AuthenticateTerms {
  signIn: SignIn;
  /** Where the client comes from, and the pool that it wants to enter. */
  from: Omit<Attempt, 'user'>;
  /** Blobs of the public keys whose certificates are taken. */
  authorities: () => readonly Buffer[];
  /** Whether there is such a person, who may enter the pool: a certificate alone makes nobody. */
  isKnown: (user: string) => boolean;
  now: () => number;
  signal: AbortSignal;
}

const methods = ['publickey', 'password', 'keyboard-interactive'] as const;
/** As sshd's MaxAuthTries; offers of keys that nobody knows do not count. */
const mostAttempts = 6;
/** Keys that may be offered: agents hold many. */
const mostOffers = 40;

/** Who has signed in, and what a certificate allows them, where it was one: undefined is everything. */
export interface SignedIn {
  user: string;
  grant: CertificateGrant | undefined;
}

/** How an attempt went well. */
interface Success {
  words: string;
  grant?: CertificateGrant;
}

/** Adds the listener for the connection's attempts. Gives who signed in, once `ready` was emitted. */
export function authenticate(connection: ServerConnection, terms: AuthenticateTerms): () => SignedIn | undefined {
  const { signIn, from, signal } = terms;
  let signedIn: SignedIn | undefined;
  let attempts = 0;
  let offers = 0;

  connection.on('authentication', (context) => {
    if (attempts >= mostAttempts || offers >= mostOffers) {
      connection.end();
      return;
    }
    const attempt: Attempt = { ...from, user: context.username };
    answer(context, attempt).then(
      (how) => {
        if (how === undefined) return;
        signedIn = { user: attempt.user, grant: how.grant };
        signIn.signedIn(attempt, how.words);
        context.accept();
      },
      (error: unknown) => {
        if (!(error instanceof PoolhouseError) && !signal.aborted) connection.emit('error', asError(error));
        if (!signal.aborted) context.reject([...methods]);
      },
    );
  });
  return () => signedIn;

  /** How they signed in; undefined where this was answered already, and they are not in yet. */
  async function answer(context: Authentication, attempt: Attempt): Promise<Success | undefined> {
    switch (context.method) {
      case 'publickey':
        return byKey(context, attempt);
      case 'password':
        return byPassword(context, attempt, context.password);
      case 'keyboard-interactive':
        return byPassword(context, attempt, await ask(context));
      default:
        context.reject([...methods]);
        return undefined;
    }
  }

  async function byPassword(context: Authentication, attempt: Attempt, password: string): Promise<Success | undefined> {
    attempts += 1;
    if (await signIn.byPassword(attempt, password, signal)) return { words: context.method };
    context.reject([...methods]);
    return undefined;
  }

  function byKey(context: PublicKeyAuth, attempt: Attempt): Success | undefined {
    const { data } = context.key;
    const how = isCertificateAlgorithm(context.algorithm)
      ? byCertificate(context, attempt)
      : byKnownKey(context, attempt);
    if (how === undefined) {
      offers += 1;
      context.reject([...methods]);
      return undefined;
    }
    if (context.signatureRaw === undefined || context.blob === undefined) {
      offers += 1;
      context.accept(); // such a key may be tried
      return undefined;
    }
    const isTheirs = isSecurityKey(data)
      ? verifySecurityKey(data, context.signatureRaw, context.blob)
      : verifySignature(how.key(), context.signatureRaw, context.blob);
    if (isTheirs) return how;
    attempts += 1;
    signIn.failed(attempt, how.words);
    context.reject([...methods]);
    return undefined;
  }

  interface Shown extends Success {
    key(): KeyObject;
  }

  function byKnownKey({ key: { data } }: PublicKeyAuth, attempt: Attempt): Shown | undefined {
    const type = data.subarray(4, 4 + data.readUInt32BE(0)).toString('latin1');
    if (!signIn.knowsKey(attempt, `${type} ${data.toString('base64')}`)) return undefined;
    const digest = createHash('sha256').update(data).digest('base64').replace(/=+$/, '');
    return { words: `publickey SHA256:${digest}`, key: () => readPublicKey(data) };
  }

  function byCertificate({ key: { data } }: PublicKeyAuth, attempt: Attempt): Shown | undefined {
    const certificate = parseCertificate(data);
    verifyAuthority(certificate, terms.authorities());
    const { user: principal, address } = attempt;
    const grant = checkCertificate(certificate, { type: 'user', principal, now: terms.now(), address });
    if (!terms.isKnown(principal)) return undefined;
    return {
      grant,
      words: `certificate ${certificate.keyId} (serial ${String(certificate.serial)})`,
      key: () => certificate.key,
    };
  }

  function ask(context: KeyboardAuth): Promise<string> {
    return new Promise((resolve, reject) => {
      context.prompt([{ prompt: 'Password: ', echo: false }], '', '', (answers) => {
        if (answers instanceof Error) reject(new PoolhouseError('AuthenticationFailed', 'Another method was begun.'));
        else resolve(answers[0] ?? '');
      });
    });
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
