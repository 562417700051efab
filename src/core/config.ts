/** `config.json`: what an operator may set. Every key is optional; an unknown one is refused with the nearest known. */
import { z } from 'zod';
import { PoolhouseError } from './errors.ts';
import type { Json } from './json.ts';
import { logLevels } from './log-levels.ts';
import { nearestWord } from './nearest-word.ts';

/** Each installation takes a /22 of it. */
const cidr = z
  .cidrv4('expected a network such as 10.231.0.0/16')
  .refine((network) => Number(network.split('/')[1]) <= 22, 'expected a network of /22 or larger');
const hostAndPort = z.string().regex(/^(\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, 'expected HOST:PORT');

/** The gateway has no right to any other. */
const unprivilegedPort = z.int().min(1024).max(65535);

/** Of an hour of an instance. */
const price = z.number().min(0).max(1_000_000);

const smtpSchema = z
  .strictObject({
    host: z.string().min(1),
    port: z.int().min(1).max(65535).default(587),
    /** TLS from the first byte on (port 465); without it the connection is made secret by STARTTLS where the server offers it. */
    secure: z.boolean().default(false),
    user: z.string().min(1).optional(),
    /** Holds the password and nothing else. */
    passwordFile: z.string().min(1).optional(),
    /** `Poolhouse <poolhouse@example.com>` */
    from: z.string().regex(/^[^\p{Cc}]*@[^\p{Cc}]*$/u, 'expected an address such as "Poolhouse <pool@example.com>"'),
  })
  .refine(({ user, passwordFile }) => (user === undefined) === (passwordFile === undefined), {
    error: 'user and passwordFile belong together',
  });

const alertsSchema = z.strictObject({
  emails: z.array(z.email()).default([]),
  /** Reached by the rules of downloads: inner addresses only as `fetchAllow` lists them. */
  webhooks: z.array(z.url({ protocol: /^https?$/ })).default([]),
});

const nfsSchema = z.strictObject({
  share: z.string().regex(/^[a-z0-9]{3,24}\/[a-z0-9-]{3,63}$/, 'expected ACCOUNT/SHARE'),
  clients: z.array(z.cidrv4('expected a network such as 10.0.0.0/24')).min(1),
  readOnly: z.boolean().default(false),
});

const configSchema = z.strictObject({
  /** Where the key is kept that opens all secrets: a file beside the store, nowhere (`up` asks), or a credential of systemd. */
  masterKey: z.enum(['file', 'passphrase', 'credential']).default('file'),
  /** Where instances come from. */
  engine: z.enum(['incus', 'sim']).default('incus'),
  /** Port of the ARM API on 127.0.0.1; a free one is chosen at the first `up` when this is not set. */
  apiPort: z.int().min(1).max(65535).optional(),
  /** Ports on 127.0.0.1 where the processes tell their health and metrics; free ones are chosen where this is not set. */
  metricsPorts: z
    .strictObject({ control: unprivilegedPort.optional(), gateway: unprivilegedPort.optional() })
    .default({}),
  /** Port on 127.0.0.1 of the files of shares (Azure Files' REST interface); a free one is chosen where this is not set. */
  filesPort: unprivilegedPort.optional(),
  /** Gateway processes that serve at a time: one a core, where one core is not enough. */
  gateways: z.int().min(1).max(64).default(1),
  /** How long a gateway that was replaced carries its connections at most. */
  leaveHours: z.number().min(0).max(720).default(24),
  /** What is written into the logs: this, and what is graver. */
  logLevel: z.enum(logLevels).default('info'),
  /** Public keys of authorities (`ssh-ed25519 AAAA…`) whose OpenSSH certificates sign people in. */
  userAuthorities: z
    .array(
      z.string().regex(/^(ssh|ecdsa)-\S+ [A-Za-z0-9+/=]+( .*)?$/, 'expected a public key such as "ssh-ed25519 AAAA…"'),
    )
    .default([]),
  /** The operator's own certificate (with its chain) and key for browsers, PEM; without them one of our own authority. */
  tlsCertificateFile: z.string().optional(),
  tlsKeyFile: z.string().optional(),
  /** Files (`*-cert.pub`) with certificates of our host keys, which `poolhouse host-keys` prints for an authority to sign. */
  hostCertificateFiles: z.array(z.string()).default([]),
  /** The host's own addresses that pools may have; without them pools are reached from this machine only. */
  publicAddresses: z.array(z.ipv4()).default([]),
  /** URL prefix → folder: downloads of templates and scripts that are read from disk instead. */
  mirrors: z.record(z.string(), z.string()).default({}),
  /** Inner addresses that downloads may reach all the same. */
  fetchAllow: z.array(hostAndPort).default([]),
  /** The server that e-mail of notifications goes through; without it none is sent. */
  smtp: smtpSchema.optional(),
  /** Who is told of what an operator should know at once, such as a share that is nearly full. */
  alerts: alertsSchema.default({ emails: [], webhooks: [] }),
  /** What an hour of an instance costs, by its size. */
  prices: z.record(z.string().min(1), price).default({}),
  /** What the prices are in. */
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, 'expected three capital letters such as EUR')
    .default('EUR'),
  /** Where the instances' network is taken from. */
  instanceRange: cidr.default('10.231.0.0/16'),
  /** File shares are served by SMB (port 445), to who has a key of their account. */
  smb: z.boolean().default(false),
  /** File shares that are exported by NFSv4 (port 2049), and to whom: there are no keys, a client is known by its address. */
  nfs: z
    .array(nfsSchema)
    .refine((list) => new Set(list.map(({ share }) => share)).size === list.length, {
      error: 'a share is named more than once: put all of its clients into one entry',
    })
    .default([]),
  /** Size of each of the two storage files, which grow as they are filled. */
  poolGiB: z.int().min(5).max(100_000).default(100),
});

export type Config = z.infer<typeof configSchema>;
const configKeys: readonly string[] = Object.keys(configSchema.shape);
/** Of the keys that hold keys themselves. */
const innerKeys: Readonly<Record<string, readonly string[]>> = {
  metricsPorts: ['control', 'gateway'],
  smtp: Object.keys(smtpSchema.shape),
  alerts: Object.keys(alertsSchema.shape),
};

/** `InvalidConfiguration` names the key, what is wrong with it, and the nearest known key. */
export function readConfig(value: Json, file: string): Config {
  const parsed = configSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const messages = parsed.error.issues.map((issue) => {
    if (issue.code !== 'unrecognized_keys')
      return issue.path.length === 0 ? issue.message : `'${issue.path.join('.')}': ${issue.message}`;
    return issue.keys
      .map((key) => {
        const near = nearestWord(key, issue.path.length === 0 ? configKeys : (innerKeys[issue.path.join('.')] ?? []));
        return `'${[...issue.path, key].join('.')}' is not a known key${near === undefined ? '' : `: did you mean '${near}'?`}`;
      })
      .join('; ');
  });
  throw new PoolhouseError(
    'InvalidConfiguration',
    `${file} is not valid: ${messages.join('; ')}. Known keys: ${configKeys.join(', ')}.`,
  );
}
