import { describe, expect, it } from 'vitest';
import type { RestoreDocument } from '../control/share-desk.ts';
import { PoolhouseError } from '../core/errors.ts';
import { awaitRestore } from './await-restore.ts';

const running: RestoreDocument = {
  ...{ id: '1', share: 'team/shared', path: '', snapshot: 's', before: 'b', state: 'Running', files: 0, removed: 0 },
  ...{ message: 'It is under way.', startedAt: '2026-11-26T18:00:00.000Z', endedAt: null },
};
const ended: RestoreDocument = { ...running, state: 'Succeeded', message: 'done' };
const away = new PoolhouseError('HostNotReady', 'Control does not answer.', { retryable: true });

/** Control's answers, the last of them for ever. */
function waiting(answers: (RestoreDocument | Error)[], signal = new AbortController().signal) {
  const told: string[] = [];
  const read = () => {
    const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? running;
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve([answer]);
  };
  return { told, read, tell: (message: string) => void told.push(message), signal, pause: () => Promise.resolve() };
}

describe('who waits for a restore', () => {
  it('is told what is new, and how it ended', async () => {
    const parts = waiting([running, running, { ...running, message: 'It waits: full' }, ended]);
    expect(await awaitRestore(running, parts)).toEqual(ended);
    expect(parts.told).toEqual(['It is under way.', 'It waits: full']);
  });

  it('hears at Ctrl-C that the restore goes on', async () => {
    const stopped = awaitRestore(running, waiting([running], AbortSignal.abort()));
    await expect(stopped).rejects.toThrow(/the restore goes on. 'poolhouse shares show team\/shared'/);
  });

  it('waits for a control that is started again, and not for ever', async () => {
    const parts = waiting([running, away, away, ended]);
    expect(await awaitRestore(running, parts)).toEqual(ended);
    expect(parts.told).toHaveLength(2);
    await expect(awaitRestore(running, waiting([away]))).rejects.toThrow(away);
  });

  it('passes on what else goes wrong', async () => {
    const gone = new PoolhouseError('ResourceNotFound', 'There is no such share.');
    await expect(awaitRestore(running, waiting([gone]))).rejects.toThrow(gone);
  });
});
