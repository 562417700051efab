/** The check of the layers sees a breach: here are some, planted. */
import { describe, expect, it } from 'vitest';
import { findBreaches } from '../../scripts/layers.ts';

const file = (path: string, ...imported: string[]) => ({
  path,
  text: imported.map((name) => `import { x } from '${name}';`).join('\n'),
});

describe('the check of the layers', () => {
  it.each([
    ['up the list', file('src/store/x.ts', '../providers/y.ts'), 'src/providers is not below src/store'],
    ['beside', file('src/control/x.ts', '../gateway/y.ts'), 'src/gateway is not below src/control'],
    [
      'from the gateway into control',
      file('src/gateway/tcp/x.ts', '../../control/y.ts'),
      'src/gateway may import only',
    ],
    [
      'from the gateway into the store, which is below it',
      file('src/gateway/x.ts', '../store/y.ts'),
      'src/gateway may import only',
    ],
    [
      'of a type only',
      { path: 'src/pool/x.ts', text: "import type { Store } from '../store/store.ts';" },
      'src/store is not below src/pool',
    ],
    [
      'by an export',
      { path: 'src/core/x.ts', text: "export * from '../pool/y.ts';" },
      'src/pool is not below src/core',
    ],
    [
      'at run time',
      { path: 'src/core/x.ts', text: "const y = await import('../pool/y.ts');" },
      'src/pool is not below src/core',
    ],
    ['of something outside', file('src/core/x.ts', '../../test/y.ts'), 'src/ imports nothing from outside'],
    ['from a folder without a place', file('src/helpers/x.ts'), 'has no place'],
  ])('refuses an import %s', (_what, planted, message) => {
    expect(findBreaches([planted])).toEqual([expect.stringContaining(message)]);
  });

  it('names the file and the line', () => {
    expect(findBreaches([file('src/pool/plan.ts', './own.ts', '../core/time.ts', '../control/main.ts')])).toEqual([
      'src/pool/plan.ts:3 imports ../control/main.ts: src/control is not below src/pool',
    ]);
  });

  it('lets everything pass that points down', () => {
    expect(
      findBreaches([
        file('src/control/main.ts', '../store/store.ts', './world.ts', 'node:fs', 'pino'),
        file('src/gateway/x.ts', '../link/routes.ts', '../core/time.ts'),
      ]),
    ).toEqual([]);
  });
});
