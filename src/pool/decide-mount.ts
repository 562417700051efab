/**
 * Whether an instance may mount what it asks for. Pure; the instance is hostile, so everything it says is checked
 * against what we know, and the answers tell it no more than the real client would.
 */
export interface MountRequest {
  account: string;
  share: string;
  folder: string;
  target: string;
  username: string;
}

export interface MountFacts {
  /** The account is one of this installation. */
  accountExists: boolean;
  shareExists: boolean;
  /** The password is one of the account's keys. */
  keyFits: boolean;
  /** The password is a handle that was given to this very instance for this account; the shares it is for (none: every share of the account). */
  handleFor: readonly string[] | undefined;
}

export type MountDecision =
  | { decision: 'allow' }
  /** `mountError`: the errno that mount.cifs prints. */
  | {
      decision: 'refuse';
      code: 'NotOurs' | 'AuthenticationFailed' | 'ShareNotFound' | 'InvalidParameter';
      mountError: 2 | 13 | 22;
      message: string;
    };

export function decideMount(request: MountRequest, facts: MountFacts): MountDecision {
  const bad = targetProblem(request.target) ?? folderProblem(request.folder);
  if (bad !== undefined) return { decision: 'refuse', code: 'InvalidParameter', mountError: 22, message: bad };
  if (!facts.accountExists) {
    return {
      decision: 'refuse',
      code: 'NotOurs',
      mountError: 2,
      message: `the storage account '${request.account}' is not one of this installation`,
    };
  }
  const refused = {
    decision: 'refuse',
    code: 'AuthenticationFailed',
    mountError: 13,
    message: `the key is not valid for the storage account '${request.account}'`,
  } as const;
  if (request.username.toLowerCase() !== request.account.toLowerCase()) return refused;
  const handleFits =
    facts.handleFor !== undefined && (facts.handleFor.length === 0 || facts.handleFor.includes(request.share));
  if (!facts.keyFits && !handleFits) return refused;
  if (!facts.shareExists) {
    return {
      decision: 'refuse',
      code: 'ShareNotFound',
      mountError: 2,
      message: `the storage account '${request.account}' has no share '${request.share}'`,
    };
  }
  return { decision: 'allow' };
}

/** Places that a share must not hide: the system's own. A folder below most of them is fine. */
const reserved = new Set([
  '/',
  '/bin',
  '/boot',
  '/dev',
  '/etc',
  '/home',
  '/lib',
  '/lib64',
  '/proc',
  '/root',
  '/run',
  '/sbin',
  '/sys',
  '/tmp',
  '/usr',
  '/var',
  '/var/lib',
  '/var/lib/poolhouse',
  '/var/lib/extrausers',
]);
const reservedBelow = [
  '/dev/',
  '/proc/',
  '/sys/',
  '/etc/',
  '/usr/',
  '/bin/',
  '/sbin/',
  '/lib/',
  '/boot/',
  '/var/lib/poolhouse/',
  '/var/lib/extrausers/',
];

function targetProblem(target: string): string | undefined {
  const printable = /^\/[\x21-\x7e\u0080-\uffff ]{0,1023}$/u.test(target);
  if (
    !printable ||
    target.split('/').some((part, index) => index > 0 && (part === '.' || part === '..' || part === ''))
  ) {
    return `'${target.slice(0, 100)}' is not an absolute path without '.', '..' and empty parts`;
  }
  if (reserved.has(target) || reservedBelow.some((prefix) => target.startsWith(prefix)))
    return `a share cannot be mounted on '${target}'`;
  return undefined;
}

function folderProblem(folder: string): string | undefined {
  if (folder === '') return undefined;
  const parts = folder.split('/');
  if (
    parts.length > 32 ||
    parts.some((part) => part === '' || part === '.' || part === '..' || part.length > 255 || part.includes('\0'))
  ) {
    return `'${folder.slice(0, 100)}' is not a folder of a share`;
  }
  return undefined;
}
