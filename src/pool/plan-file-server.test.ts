import { describe, expect, it } from 'vitest';
import { planFileServer, servedPath, type FileServerSnapshot } from './plan-file-server.ts';

const shared = { account: 'team', share: 'shared' };
const other = { account: 'other', share: 'shared' };
const attached = (share: { account: string; share: string }) => ({ ...share, path: servedPath(share) });
const settled: FileServerSnapshot = {
  wanted: true,
  poolsFirst: false,
  image: { ready: true, busy: false, retryAt: undefined },
  model: 'm1',
  found: { made: true, power: 'running', model: 'm1', attachments: [attached(shared)] },
  shares: [shared],
  word: 'w1',
  told: { word: 'w1', at: 1_000 },
};
const running = (change: Partial<NonNullable<FileServerSnapshot['found']>>) => ({
  found: { made: true, power: 'running' as const, model: 'm1', attachments: [attached(shared)], ...change },
});
const notReady = { ready: false, busy: false, retryAt: undefined };

const cases: [string, Partial<FileServerSnapshot>, string[]][] = [
  ['all is as it should be', {}, []],
  ['nobody needs it', { wanted: false, found: undefined, image: notReady }, []],
  ['it is needed', { found: undefined, image: notReady }, ['prepareImage']],
  ['pools go first', { found: undefined, image: notReady, poolsFirst: true }, []],
  ['pools go first, and it is there', { image: notReady, poolsFirst: true }, ['prepareImage']],
  ['its image is being made', { found: undefined, image: { ...notReady, busy: true } }, []],
  ['its image failed a moment ago', { found: undefined, image: { ...notReady, retryAt: 9_000 } }, []],
  ['its image is ready', { found: undefined }, ['create']],
  ['its making was cut off', running({ made: false }), ['create']],
  ['it was stopped', running({ power: 'stopped' }), ['start']],
  ['it was frozen', running({ power: 'frozen' }), ['start']],
  ['it is of another recipe', running({ model: 'm0' }), ['remove']],
  ['it may be of another recipe', { ...running({ model: 'm0' }), image: notReady }, ['prepareImage']],
  ['nobody needs it any more', { wanted: false }, []],
  ['a share came', { shares: [shared, other], word: 'w2' }, ['attach /srv/shares/other/shared', 'tell']],
  ['a share is not attached any more', running({ attachments: [] }), ['attach /srv/shares/team/shared', 'tell']],
  ['a share goes', { shares: [], word: 'w2' }, ['tell', 'detach /srv/shares/team/shared']],
  ['a key has changed', { word: 'w2' }, ['tell']],
  ['it was started', { told: undefined }, ['tell']],
  ['it was told long ago', { told: { word: 'w1', at: -60_000 } }, ['tell']],
];

describe('planFileServer', () => {
  it.each(cases)('%s', (_what, change, expected) => {
    const steps = planFileServer({ ...settled, ...change }, 2_000);
    expect(steps.map((one) => ('path' in one ? `${one.step} ${one.path}` : one.step))).toEqual(expected);
  });
});
