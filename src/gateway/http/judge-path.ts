/**
 * Where a request may go. What decides is the path as JupyterHub's own proxy reads it: decoded once, with empty segments
 * left out. What another reading could take elsewhere is refused. Pure.
 */

export type PathJudgement =
  | { to: 'own'; path: string }
  | { to: 'hub'; decoded: string }
  /** It is another person's. */
  | { to: 'nobody'; status: 403 }
  | { to: 'nobody'; status: 400 };

/** Everything of ours lies beneath it. */
const ownFolder = '/poolhouse/';
/** The one page there that somebody may have wanted before they signed in. */
const accountPath = '/poolhouse/account';

/** `target` is what stands in the request line: only `/path?query` is taken. */
export function judgePath(target: string, user: string | undefined): PathJudgement {
  const bad = { to: 'nobody', status: 400 } as const;
  if (!target.startsWith('/') || !/^[\x21-\x7e]+$/.test(target) || target.includes('#')) return bad;
  const path = target.split('?', 1)[0] ?? '';
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return bad;
  }
  // Whatever lies behind a NUL, a control character or a step upwards is read differently by different programs.
  if (/\p{Cc}/u.test(decoded)) return bad;
  const segments = decoded.split('/').filter((segment) => segment !== '');
  if (segments.some((segment) => segment === '.' || segment === '..')) return bad;
  const [first = '', second, third] = segments;
  if (segments.slice(0, 3).some((segment) => segment.includes('\\'))) return bad;
  if (`${path}/`.startsWith(ownFolder)) return { to: 'own', path };
  if (first.toLowerCase() === 'poolhouse') return bad;
  const owner = first.toLowerCase() === 'user' ? second : first === 'hub' && second === 'user' ? third : undefined;
  if (owner !== undefined && owner !== user) return { to: 'nobody', status: 403 };
  return { to: 'hub', decoded: `/${segments.join('/')}` };
}

/**
 * Whether a page asks such a thing by itself: open pages of notebooks look at the API every few seconds for as long as they
 * are open, so it says nothing of the person. `decoded` as judged.
 */
export function isAskedByPages(method: string, decoded: string): boolean {
  return (method === 'GET' || method === 'HEAD') && /^\/(?:user\/[^/]+|hub)\/(?:api|metrics)(?:\/|$)/.test(decoded);
}

/** A place of this very origin, for after the sign-in; the start where the text is something else. */
export function safeNext(next: string | null | undefined): string {
  if (next === null || next === undefined || next.length > 2_000) return '/';
  // Browsers take a backslash for a slash, and leave out tabs and line ends.
  if (!/^\/(?![/\\])[\x21-\x7e]*$/.test(next) || next.includes('\\')) return '/';
  return next.startsWith(ownFolder) && next !== accountPath ? '/' : next;
}
