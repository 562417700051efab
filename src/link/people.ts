/**
 * What gateway and control say to each other about people: who there is (`GET /v1/directory`), where somebody goes
 * (`POST /v1/placements`), what they change of their own account (`POST /v1/self`), that they keep their machine
 * (`POST /v1/keep`), and which sessions there are (a part of the report).
 */
import { z } from 'zod';
import { endedSignInSchema } from './ended-sign-ins.ts';

/** A person, or the admin user of one pool's template, as far as signing in needs to know. */
export const directoryUserSchema = z.object({
  name: z.string(),
  /** Keys of the pools (scale sets) that they may enter; `all`: every one. */
  pools: z.union([z.literal('all'), z.array(z.string())]),
  /** In PHC form; absent where no password opens anything. */
  passwordHash: z.string().optional(),
  /** Public keys as `type base64`, without options and comment. */
  keys: z.array(z.string()),
});

/** The keys of the front door for browsers: the same in every gateway, and after every restart. */
export const webIdentitySchema = z.object({
  /** PEM: the server's certificate and those that lead to its authority. */
  certificate: z.string(),
  certificateKey: z.string(),
  /** 32 bytes in base64: what cookies and forms are sealed with. */
  cookieKey: z.string(),
  /** Ed25519, PKCS #8 PEM: signs what a JupyterHub takes for a sign-in. */
  assertionKey: z.string(),
});

export const directorySchema = z.object({
  /** Differs with every change. */
  revision: z.string(),
  users: z.array(directoryUserSchema),
  /** Private host keys of the one address that people see (OpenSSH or PKCS #8 PEM). They never change. */
  hostKeys: z.array(z.string()),
  /** Certificates of some of them, lines of `*-cert.pub` files, for clients that trust who signed them. */
  hostCertificates: z.array(z.string()).optional(),
  /** The key that signs what opens a user's session on an instance, PKCS #8 PEM (Ed25519). */
  userAuthority: z.string(),
  /** Public keys, as `type base64`, whose certificates for users are taken. */
  userAuthorities: z.array(z.string()),
  /** By instance's name in the engine: its public host keys as `type base64`, read through the engine. */
  instanceKeys: z.record(z.string(), z.array(z.string())),
  /** What browsers are met with; absent: nobody can sign in there. */
  web: webIdentitySchema.optional(),
  /** Of browsers: those that count no more before their time is over. */
  endedSignIns: z.array(endedSignInSchema).optional(),
});

export const sessionProtocols = ['ssh', 'http'] as const;

/** One person's presence on one instance by one protocol. */
export const sessionSchema = z.object({
  id: z.string(),
  pool: z.string(),
  user: z.string(),
  instance: z.string(),
  protocol: z.enum(sessionProtocols),
  /** Milliseconds since 1970. */
  since: z.number(),
  /** When it moved bytes last, as coarse as reports are. Absent from a gateway of before: such a session counts as active. */
  activeAt: z.number().optional(),
  client: z.string(),
});

export const placementQuestionSchema = z.object({
  /** Names the one who waits, over all questions: their place in the queue is kept by it. */
  ticket: z.string().max(64),
  pool: z.string(),
  user: z.string().max(64),
  /** Instances that were tried just now and did not answer. */
  unusable: z.array(z.string()).max(16),
  /** What was told last: the answer comes when it would be another, or when the poll ends. */
  told: z.string().optional(),
});

export const placementAnswerSchema = z.discriminatedUnion('outcome', [
  z.object({
    outcome: z.literal('placed'),
    instance: z.string(),
    /** One line for them: something is not as it should be there. */
    notice: z.string().optional(),
  }),
  z.object({
    outcome: z.literal('waiting'),
    /** One line for the person who waits. */
    message: z.string(),
    position: z.int().positive(),
    waiting: z.int().positive(),
  }),
  z.object({ outcome: z.literal('refused'), message: z.string() }),
]);

export type WebIdentity = z.infer<typeof webIdentitySchema>;
/** The most that is read of keys that somebody gives. */
export const mostKeyText = 64 * 1024;

/**
 * What somebody asks about their own account. The gateway has signed them in, so it says who they are; control sees whether
 * they may still enter the pool, and knows the old password only from here.
 */
export const selfQuestionSchema = z.object({
  pool: z.string(),
  user: z.string().max(64),
  /** For the log: how and from where they came. */
  protocol: z.enum(sessionProtocols),
  client: z.string().max(64),
  asks: z.discriminatedUnion('for', [
    z.strictObject({ for: z.literal('account') }),
    z.strictObject({
      for: z.literal('password'),
      /** Absent from who has none. */
      old: z.string().max(4_096).optional(),
      new: z.string().max(4_096),
    }),
    z.strictObject({
      for: z.literal('more keys'),
      /** Public keys, a line each. */
      lines: z.string().max(mostKeyText),
    }),
    z.strictObject({
      for: z.literal('less keys'),
      /** `SHA256:…`, as an account shows it. */
      fingerprint: z.string().max(200),
    }),
  ]),
});

/** Somebody who has signed in keeps the machine that they are on; without `until` they ask, with `off` they give it up. */
export const keepQuestionSchema = z.object({
  pool: z.string(),
  user: z.string().max(64),
  /** As they typed it. */
  until: z.string().max(40).optional(),
});

export const keepAnswerSchema = z.object({
  outcome: z.enum(['done', 'refused']),
  /** For the person. */
  message: z.string(),
});

export const ownAccountSchema = z.object({
  user: z.string(),
  hasPassword: z.boolean(),
  keys: z.array(z.object({ type: z.string(), fingerprint: z.string(), comment: z.string() })),
});

export const selfAnswerSchema = z.discriminatedUnion('outcome', [
  z.object({
    outcome: z.literal('done'),
    /** One sentence for the person. */
    message: z.string(),
    /** As it is now. */
    account: ownAccountSchema,
  }),
  /** Nothing was changed. Of its own, because guesses are counted. */
  z.object({ outcome: z.literal('wrong password'), message: z.string() }),
  z.object({ outcome: z.literal('refused'), message: z.string() }),
]);

export type DirectoryUser = z.infer<typeof directoryUserSchema>;
export type Directory = z.infer<typeof directorySchema>;
export type SessionProtocol = (typeof sessionProtocols)[number];
export type Session = z.infer<typeof sessionSchema>;
export type PlacementQuestion = z.infer<typeof placementQuestionSchema>;
export type SelfQuestion = z.infer<typeof selfQuestionSchema>;
export type SelfAnswer = z.infer<typeof selfAnswerSchema>;
export type KeepQuestion = z.infer<typeof keepQuestionSchema>;
export type KeepAnswer = z.infer<typeof keepAnswerSchema>;
export type OwnAccount = z.infer<typeof ownAccountSchema>;
export type PlacementAnswer = z.infer<typeof placementAnswerSchema>;

/** What a waiting person is told; two answers of the same text need not be told twice. */
export function waitingText(answer: Extract<PlacementAnswer, { outcome: 'waiting' }>): string {
  const place =
    answer.waiting > 1 ? ` You are number ${String(answer.position)} of ${String(answer.waiting)} who wait.` : '';
  return `${answer.message}${place}`;
}
