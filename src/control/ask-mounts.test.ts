import { describe, expect, it, vi } from 'vitest';
import { PoolhouseError } from '../core/errors.ts';
import type { Engine, EngineInstance, ExecResult } from '../engines/engine.ts';
import { createAskMounts } from './ask-mounts.ts';

const signal = AbortSignal.timeout(10_000);
const attachment = { account: 'team', share: 'notebooks', folder: '', path: '/mnt/shared' };
const instance = { name: 'one', attachments: [attachment] } as unknown as EngineInstance; // as much as is looked at

function prepare(answer: Partial<ExecResult>, attachShare = () => Promise.resolve(), list = [instance]) {
  const exec = vi.fn((..._call: Parameters<Engine['exec']>) =>
    Promise.resolve({ exitCode: 0, stdout: '', stderr: '', ...answer }),
  );
  const attach = vi.fn(attachShare);
  const engine = { exec, attachShare: attach, list: () => Promise.resolve(list) } as unknown as Engine; // as much as is asked
  return { ask: createAskMounts({ engine }), exec, attach };
}

const said = (...mounts: object[]) => ({ stdout: JSON.stringify({ mounts }) });
const mount = { path: '/mnt/shared', origin: 'attached', type: 'btrfs', state: 'missing', message: 'no\u001b[2Jthing' };

describe('what an instance says of its mounts', () => {
  it('is named as we know it, and told without what may move a terminal', async () => {
    const { ask, exec } = prepare(said(mount, { ...mount, path: '/data', origin: 'table', type: 'nfs4' }));
    expect(await ask.look(instance, { isolated: false }, signal)).toEqual([
      {
        path: '/mnt/shared',
        origin: 'attached',
        state: 'missing',
        what: 'the share team/notebooks',
        message: 'no [2Jthing',
      },
      { path: '/data', origin: 'table', state: 'missing', what: 'the nfs4 file system', message: 'no [2Jthing' },
    ]);
    expect(JSON.parse(String(exec.mock.calls[0]?.[2].stdin))).toEqual({ expected: ['/mnt/shared'], seconds: 5 });
  });

  it.each([
    ['a path that we know nothing of is not attached', said({ ...mount, path: '/etc' }), 'other'],
    ['a path of ours is, whatever it says', said({ ...mount, origin: 'other' }), 'attached'],
  ])('is not believed of what is ours: %s', async (_what, answer, origin) => {
    expect((await prepare(answer).ask.look(instance, { isolated: false }, signal)).map((one) => one.origin)).toEqual([
      origin,
    ]);
  });

  it('is nothing of shares in its table where only folders of them are shown', async () => {
    const table = { ...mount, path: '/data', origin: 'table' };
    const { ask } = prepare(said({ ...table, type: 'cifs' }, { ...table, type: 'nfs4' }));
    const found = await ask.look(instance, { isolated: true }, signal);
    expect(found.map(({ what }) => what)).toEqual(['the nfs4 file system']);
  });

  it.each([
    ['nothing from an image without the program', { exitCode: 127 }],
    ['nothing where nothing is', said()],
  ])('is %s', async (_what, answer) => {
    expect(await prepare(answer).ask.look(instance, { isolated: false }, signal)).toEqual([]);
  });

  it.each([
    ['fails', { exitCode: 1 }],
    ['talks nonsense', { stdout: '{"mounts":[{"path":3}]}' }],
    ['never ends', said(...Array.from({ length: 65 }, () => mount))],
  ])('is no answer where the program %s', async (_what, answer) => {
    await expect(prepare(answer).ask.look(instance, { isolated: false }, signal)).rejects.toThrow();
  });
});

describe('mending', () => {
  const done = { stdout: '{"done":true,"message":""}' };
  const asked = (exec: ReturnType<typeof prepare>['exec']) =>
    exec.mock.calls.map(([, , { stdin }]) => (JSON.parse(String(stdin)) as { repair: { how: string } }).repair.how);

  it.each([
    ['what is missing', false, []],
    ['what is hidden, which is uncovered before', true, ['uncover']],
  ])('attaches %s', async (_what, uncover, hows) => {
    const { ask, exec, attach } = prepare(done);
    expect(await ask.mend(instance, { repair: 'attach', path: '/mnt/shared', uncover }, signal)).toBe('mended');
    expect(attach).toHaveBeenCalledWith('one', attachment, signal);
    expect(asked(exec)).toEqual(hows);
  });

  it('does not bring back what was given up meanwhile', async () => {
    const { ask, attach } = prepare(done, undefined, []);
    expect(await ask.mend(instance, { repair: 'attach', path: '/mnt/shared', uncover: false }, signal)).toBe(
      'not tried',
    );
    expect(attach).not.toHaveBeenCalled();
  });

  it.each([
    ['mount', false],
    ['remount', true],
  ])('has the instance %s what its table wants', async (how, uncover) => {
    const { ask, exec } = prepare(done);
    expect(await ask.mend(instance, { repair: 'mount', path: '/data', uncover }, signal)).toBe('mended');
    expect(asked(exec)).toEqual([how]);
  });

  it.each([
    ['the engine is away', new PoolhouseError('EngineUnavailable', 'away'), 'not tried'],
    ['the share is gone', new PoolhouseError('ShareNotFound', 'no such share'), { failure: 'no such share' }],
  ])('says what came of it where %s', async (_what, error, outcome) => {
    const { ask } = prepare(done, () => Promise.reject(error));
    expect(await ask.mend(instance, { repair: 'attach', path: '/mnt/shared', uncover: false }, signal)).toEqual(
      outcome,
    );
  });

  it('tells why the instance could not', async () => {
    const { ask } = prepare({ stdout: '{"done":false,"message":"mount: no server"}' });
    expect(await ask.mend(instance, { repair: 'mount', path: '/data', uncover: false }, signal)).toEqual({
      failure: 'mount: no server',
    });
  });
});
