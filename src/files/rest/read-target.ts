/** What an address asks for: `https://127.0.0.1:PORT/ACCOUNT/SHARE/dir/file`, or `https://ACCOUNT.file.HOST/SHARE/dir/file`. Pure. */
import { RestError } from './rest-error.ts';
import { fitsXml } from './xml.ts';

export interface RestTarget {
  account: string;
  /** Undefined: the account's file service. */
  share: string | undefined;
  /** From the share's root. */
  steps: readonly string[];
  /** As it was sent: signatures are made over it. */
  rawPath: string;
  query: RestQuery;
}

/** By name in lower case. */
export type RestQuery = ReadonlyMap<string, readonly string[]>;

const longestUrl = 16_384;
const deepest = 250;
const accountPattern = /^[a-z0-9]{3,24}$/;
const sharePattern = /^[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9]$/;

/** @param url path and query, as in the request line */
export function readTarget(url: string, host: string | undefined): RestTarget {
  if (!url.startsWith('/') || url.length > longestUrl) throw invalidUri();
  const mark = url.indexOf('?');
  const rawPath = mark < 0 ? url : url.slice(0, mark);
  const names = decode(rawPath)
    .split('/')
    .filter((name) => name !== '');
  const [, fromHost] = /^([a-z0-9]{3,24})\.file\./i.exec(host ?? '') ?? [];
  const account = fromHost?.toLowerCase() ?? names.shift();
  if (account === undefined || !accountPattern.test(account))
    throw new RestError('InvalidUri', 'The address names no storage account: https://HOST:PORT/ACCOUNT/SHARE/PATH is expected.'); // prettier-ignore
  const [share, ...steps] = names;
  if (share !== undefined && !sharePattern.test(share))
    throw new RestError('InvalidResourceName', `'${share.slice(0, 80)}' is no name that a share may have.`);
  if (steps.length > deepest || steps.some((step) => !isStep(step)))
    throw new RestError('InvalidResourceName', 'A name in the path is too long, or one that no file may have.');
  return { account, share, steps, rawPath, query: readQuery(mark < 0 ? '' : url.slice(mark + 1)) };
}

/** Not '+' for a blank: signatures hold it. */
function readQuery(text: string): RestQuery {
  const query = new Map<string, string[]>();
  for (const part of text.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = decode(equals < 0 ? part : part.slice(0, equals)).toLowerCase();
    query.set(name, [...(query.get(name) ?? []), equals < 0 ? '' : decode(part.slice(equals + 1))]);
  }
  return query;
}

/** What may be made anew: others (`a:b`, made on an instance) are served all the same. */
export function requireNewName(steps: readonly string[]): void {
  const name = steps.at(-1) ?? '';
  const isPlain = !/["\\:|<>*?\u0000-\u001f\u007f]/.test(name) && !/[. ]$/.test(name);
  // What no list could show is not made.
  if (name.length <= 255 && isPlain && fitsXml(name)) return;
  throw new RestError(
    'InvalidResourceName',
    `'${name.slice(0, 80)}' is no name for a file or folder: none of " \\ : | < > * ? may be in it, and no full stop or blank at its end.`,
  );
}

function isStep(name: string): boolean {
  return name !== '.' && name !== '..' && !name.includes('\0') && Buffer.byteLength(name) <= 255;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidUri();
  }
}

function invalidUri(): RestError {
  return new RestError('InvalidUri', 'The address is not one that can be read.');
}
