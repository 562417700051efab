import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cookieForBrowser, cookiesForInstance, onlyCookie, parseCookies } from './cookies.ts';

const text = fc.string({
  unit: fc.constantFrom('=', ';', ',', ' ', '"', '\\', '\r', '\n', '\0', '_', '-', 'a', 'Z', '9', '%', 'é'),
  maxLength: 30,
});
const name = fc.oneof(
  fc.constantFrom(
    '__Host-poolhouse',
    '__host-Poolhouse',
    'jupyterhub-hub-login',
    'JupyterHub-x',
    'ph-other-jupyterhub-x',
    'lang',
  ),
  text,
);

describe('cookies', () => {
  it('of a sign-in never reach an instance, nor those of another person at it', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, text)), (pairs) => {
        const header = pairs.map(([one, value]) => `${one}=${value}`).join('; ');
        const passed = cookiesForInstance(parseCookies(header), 'mine') ?? '';
        expect(passed).not.toMatch(/(^|; *)(__host-poolhouse|jupyterhub-|ph-other)/i);
        expect(passed).not.toMatch(/[\r\n\0]/);
      }),
    );
  });

  it('of an instance are for this host, and none is ours or another person’s', () => {
    fc.assert(
      fc.property(name, text, text, (one, value, attributes) => {
        const line = cookieForBrowser(`${one}=${value}; Domain=example.org;domain=x; ${attributes}`, 'mine');
        if (line === undefined) return;
        expect(line).not.toMatch(/^\s*(__host-poolhouse|jupyterhub-|ph-other)|;\s*domain\s*(=|;|$)|[\r\n\0]/i);
      }),
    );
  });

  it('come back as they were, to the same person', () => {
    const line = cookieForBrowser('jupyterhub-session-id=abc; HttpOnly; Path=/', 'mine') ?? '';
    expect(cookiesForInstance(parseCookies(line.split(';')[0]), 'mine')).toBe('jupyterhub-session-id=abc');
    expect(cookiesForInstance(parseCookies(line.split(';')[0]), 'theirs')).toBeUndefined();
  });

  it('count only where there is one', () => {
    expect(onlyCookie(parseCookies('a=1; b=2'), 'a')).toBe('1');
    expect(onlyCookie(parseCookies('a=1; a=2'), 'a')).toBeUndefined();
    expect(onlyCookie(parseCookies(undefined), 'a')).toBeUndefined();
  });
});
