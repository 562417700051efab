import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAskedByPages, judgePath, safeNext } from './judge-path.ts';

/** As JupyterHub's own proxy finds whom a path is of. */
function ownerAsProxyReads(target: string): string | undefined {
  const segments = decodeURIComponent(new URL(target, 'http://x').pathname)
    .split('/')
    .filter((segment) => segment !== '');
  return segments[0] === 'user' ? segments[1] : undefined;
}

describe('a path', () => {
  it('leads to nobody else, however it is written', () => {
    const piece = fc.constantFrom(
      ...[
        '/',
        '//',
        'user',
        'bob',
        'alice',
        '..',
        '.',
        '%2f',
        '%2F',
        '%2e',
        '%75ser',
        '%',
        '\\',
        '%5c',
        '?',
        '#',
        ';',
        ' ',
        '%00',
        'é',
        '\t',
      ],
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
        const target = `/${pieces.join('')}`;
        const judged = judgePath(target, 'alice');
        if (judged.to !== 'hub') return;
        expect([undefined, 'alice']).toContain(
          ownerAsProxyReads(target.startsWith('//') ? `http://x${target}` : target),
        );
      }),
      { numRuns: 5_000 },
    );
  });

  it('of any text is judged without an exception', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void judgePath(`/${text}`, 'alice')));
  });

  it('of ours is ours', () => {
    expect(judgePath('/poolhouse/signin?next=/', undefined)).toEqual({ to: 'own', path: '/poolhouse/signin' });
    expect(judgePath('/%70oolhouse/signin', undefined)).toEqual({ to: 'nobody', status: 400 });
  });
});

describe('a request', () => {
  it.each([
    ['GET', '/user/alice/api/sessions', true],
    ['HEAD', '/user/alice/api', true],
    ['GET', '/user/alice/metrics', true],
    ['GET', '/hub/api/user', true],
    ['PUT', '/user/alice/api/contents/a.ipynb', false],
    ['POST', '/user/alice/api/sessions', false],
    ['GET', '/user/alice/notebooks/a.ipynb', false],
    ['GET', '/user/alice/files/api/data.csv', false],
    ['GET', '/user/alice/apis', false],
  ])('%s %s is one that pages make by themselves: %s', (method, path, expected) => {
    expect(isAskedByPages(method, path)).toBe(expected);
  });
});

describe('where to go after the sign-in', () => {
  it.each([
    ['/user/alice/tree?a=b', '/user/alice/tree?a=b'],
    ['/poolhouse/account', '/poolhouse/account'],
    ['/poolhouse/signout', '/'],
    ['//evil.example/', '/'],
    [null, '/'],
  ])('of %j is %j', (text, next) => {
    expect(safeNext(text)).toBe(next);
  });

  it('is always this very address', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('/', '\\', '\t', '\n', ':', '@', '?', '#', '.', 'a', 'Z', '%', 'é') }),
        (text) => {
          const next = new URL(safeNext(text), 'https://pool:8000/');
          expect(next.origin).toBe('https://pool:8000');
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
