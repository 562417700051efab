/** Cookies as text: what browsers send, and what instances would have them keep. Pure. */

/** The sign-in. `__Host-`: no page of another host, port's path or plain HTTP can have set it. */
export const signInCookie = '__Host-poolhouse';
/** The half of the form's proof that other sites cannot read. */
export const formCookie = '__Host-poolhouse-form';
/** Of both. */
export const cookieAttributes = 'Path=/; Secure; HttpOnly; SameSite=Lax';

export interface Cookie {
  name: string;
  value: string;
}

/** In their order, duplicates kept; what is none is left out. */
export function parseCookies(header: string | undefined): Cookie[] {
  return (header ?? '').split(';').flatMap((part) => {
    const at = part.indexOf('=');
    if (at < 0) return [];
    const name = part.slice(0, at).trim();
    const value = part.slice(at + 1).trim();
    return isToken(name) && /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x7e]*$|^"[^"\p{Cc}]*"$/u.test(value)
      ? [{ name, value }]
      : [];
  });
}

/** The one of this name; undefined where there is none, or more than one: then somebody plays tricks. */
export function onlyCookie(cookies: readonly Cookie[], name: string): string | undefined {
  const found = cookies.filter((cookie) => cookie.name === name);
  return found.length === 1 ? found[0]?.value : undefined;
}

/**
 * JupyterHub's own cookies say who somebody is at one instance. A browser keeps them after the next person has signed in,
 * so they carry a mark of the person on their way through it: those of another one come back to no instance.
 */
const isIdentity = (name: string) => name.toLowerCase().startsWith('jupyterhub-');
const marked = (mark: string, name: string) => `ph-${mark}-${name}`;
const isMarked = (name: string) => /^ph-[A-Za-z0-9_-]+-jupyterhub-/i.test(name);
const isOwn = (name: string) => name.toLowerCase().startsWith('__host-poolhouse');

/** For the instance; undefined where nothing is left. */
export function cookiesForInstance(cookies: readonly Cookie[], mark: string): string | undefined {
  const prefix = marked(mark, '');
  const passed = cookies.flatMap(({ name, value }) => {
    if (isMarked(name)) return name.startsWith(prefix) ? [`${name.slice(prefix.length)}=${value}`] : [];
    return isOwn(name) || isIdentity(name) ? [] : [`${name}=${value}`];
  });
  return passed.length === 0 ? undefined : passed.join('; ');
}

/** One `Set-Cookie` of an instance, for the browser; undefined where the instance has no right to it. */
export function cookieForBrowser(line: string, mark: string): string | undefined {
  const [pair = '', ...attributes] = line.split(';');
  const at = pair.indexOf('=');
  const name = pair.slice(0, Math.max(at, 0)).trim();
  if (at < 0 || !isToken(name) || isOwn(name) || isMarked(name) || /[\0\r\n]/.test(line)) return undefined;
  // For this host alone, whatever the instance would like.
  const kept = attributes.filter((attribute) => !/^\s*domain\s*(=|$)/i.test(attribute));
  const shown = isIdentity(name) ? marked(mark, name) : name;
  return [`${shown}=${pair.slice(at + 1).trim()}`, ...kept.map((attribute) => ` ${attribute.trim()}`)].join(';');
}

function isToken(name: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name);
}
