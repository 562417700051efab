import { gzipSync } from 'node:zlib';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { PoolhouseError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { ResourceKey } from '../core/resource-id.ts';
import type { Engine, ExecResult } from '../engines/engine.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { newInstanceState } from '../pool/instance-state.ts';
import type { InstanceRecord } from '../store/instance-records.ts';
import type { Store } from '../store/store.ts';
import { createCustomScripts } from './custom-scripts.ts';
import type { Mounts } from './mounts.ts';

const instance: InstanceRecord = {
  scaleSetKey: '/set' as ResourceKey,
  instanceId: 0,
  name: 'set-0',
  hostname: 'set000000',
  address: '10.0.0.2',
  modelVersion: 'm',
  state: newInstanceState(),
  createdAt: 0,
};

interface Asked {
  /** How the command ends, when its limit is over. */
  command: (signal: AbortSignal) => Promise<ExecResult>;
  refused?: string[];
  settings?: JsonObject;
  signal?: AbortSignal;
  interruptedRunId?: string;
}

/** Runs one script on an engine that only writes down what it is asked. */
async function run({ command, refused = [], settings = { commandToExecute: 'true' }, signal = new AbortController().signal, interruptedRunId }: Asked) {
  const commands: string[] = [];
  const written: string[] = [];
  let now = 1_000;
  const engine: Partial<Engine> = {
    writeFile: (_name, file) => {
      written.push(String(file.content));
      return Promise.resolve();
    },
    exec: (_name, argv, options, execSignal) => {
      commands.push(argv.join(' '));
      if (argv[0] === 'systemctl') return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' });
      return command(execSignal).finally(() => (now += options.timeoutMs ?? 0));
    },
  };
  const mounts: Partial<Mounts> = {
    withHandles: (_name, text) => Promise.resolve({ text: text.replaceAll('the-key', 'ph-handle'), handles: ['ph-handle'] }),
    refusedSince: () => refused,
  };
  const secrets: Partial<Secrets> = { reveal: (_queries, _owner, text) => Promise.resolve(text) };
  const scripts = createCustomScripts({
    // What a run does not use is not there.
    store: {} as Store,
    secrets: secrets as Secrets,
    engine: engine as Engine,
    mounts: mounts as Mounts,
    fetch: () => Promise.reject(new Error('nothing is fetched here')),
    clock: { now: () => now, sleep: () => Promise.resolve() },
    log: pino({ level: 'silent' }),
  });
  const end = scripts.run({
    instance,
    scaleSetKey: instance.scaleSetKey,
    extension: {
      name: 'setup',
      publisher: 'Microsoft.Azure.Extensions',
      type: 'CustomScript',
      settings,
      protectedSettings: '{"secret": "hush-hush"}',
      provisionAfter: [],
    },
    runId: 'now',
    ...(interruptedRunId === undefined ? {} : { interruptedRunId }),
    limitMs: 60_000,
    signal,
  });
  return { end, commands, written };
}
const ended = (exitCode: number, stdout = '', stderr = '') => ({
  command: () => Promise.resolve({ exitCode, stdout, stderr }),
});
const killed = 'systemctl kill --signal=KILL poolhouse-script-now.scope';

describe('a script', () => {
  it('runs in a unit of its own, and what it leaves behind stays', async () => {
    const { end, commands } = await run(ended(0, 'done'));
    expect(await end).toEqual({ status: 'succeeded', exitCode: 0, message: expect.stringContaining('done') as string });
    expect(commands).toEqual([
      'systemd-run --scope --quiet --collect --unit=poolhouse-script-now.scope -- /bin/sh /var/lib/waagent/custom-script/download/0/.command.sh',
    ]);
  });

  it('fails by its exit code, with what it said and without its secrets', async () => {
    const { end } = await run(ended(3, 'with hush-hush', 'no licence'));
    expect(await end).toMatchObject({ status: 'failed', exitCode: 3 });
    expect((await end).message).toMatch(/exit status=3\n\[stdout\]\nwith \*\*\*\n\[stderr\]\nno licence/);
  });

  it('says nothing of a secret that the last 4 KB begin in the middle of', async () => {
    const end = 'x'.repeat(4_096 - 'sh-hush'.length);
    const { message } = await (await run(ended(1, `sh-hush${end}`))).end;
    expect(message).toContain(`[stdout]\n${end}\n`);
  });

  it('says nothing of the handle that stands for a key', async () => {
    const { message } = await (await run(ended(1, 'password=ph-handle'))).end;
    expect(message).toContain('password=***\n');
  });

  it.each([
    ['base64', (text: string) => Buffer.from(text)],
    ['base64 of gzip', (text: string) => gzipSync(text)],
  ])('given as %s runs with handles in place of keys, from a file that is gone when it runs', async (_, pack) => {
    const script = pack('#!/bin/sh\nmount -o password=the-key').toString('base64');
    const { end, written } = await run({ ...ended(0), settings: { script } });
    expect((await end).status).toBe('succeeded');
    const file = '/var/lib/waagent/custom-script/download/0/.command.sh';
    expect(written).toEqual([
      `rm -f ${file}\ncd /var/lib/waagent/custom-script/download/0 && #!/bin/sh\nmount -o password=ph-handle\n`,
    ]);
  });

  it('fails where it cannot be unpacked', async () => {
    const script = gzipSync('true').subarray(0, -9).toString('base64');
    const { end } = await run({ ...ended(0), settings: { script } });
    expect(await end).toMatchObject({ status: 'failed', message: expect.stringMatching(/cannot be unpacked/) as string });
  });

  it('fails for a mount that was refused, whatever it says itself', async () => {
    const { end } = await run({ ...ended(0), refused: ['mount of //a/b was refused: wrong key'] });
    expect(await end).toMatchObject({ status: 'failed', message: expect.stringMatching(/a\/b was refused/) as string });
  });

  it('is ended with all that it started when it runs too long', async () => {
    const { end, commands } = await run({
      command: () => Promise.reject(new PoolhouseError('Unavailable', 'it ran longer than 60 s', { retryable: true })),
    });
    expect(await end).toMatchObject({
      status: 'failed',
      timedOut: true,
      message: expect.stringMatching(/longer than 1 minutes.*'poolhouse-script-minutes'/) as string,
    });
    expect(commands.at(-1)).toBe(killed);
  });

  it('is ended with all that it started when nobody wants it any longer', async () => {
    const stop = new AbortController();
    const { end, commands } = await run({
      signal: stop.signal,
      command: (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reject(signal.reason as Error);
          });
          stop.abort(new Error('the instance is being removed'));
        }),
    });
    await expect(end).rejects.toThrow('the instance is being removed');
    expect(commands.at(-1)).toBe(killed);
  });

  it('is tried again, not failed, where the engine does not answer', async () => {
    const unavailable = new PoolhouseError('EngineUnavailable', 'no answer', { retryable: true });
    const { end } = await run({ command: () => Promise.reject(unavailable) });
    await expect(end).rejects.toBe(unavailable);
  });

  it('begins when what is left of an interrupted run has been ended', async () => {
    const { end, commands } = await run({ ...ended(0), interruptedRunId: 'before' });
    await end;
    expect(commands[0]).toBe('systemctl kill --signal=KILL poolhouse-script-before.scope');
    expect(commands).toHaveLength(2);
  });
});
