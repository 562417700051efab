import { describe, expect, it, vi } from 'vitest';
import { createActivityNote } from './activity-note.ts';
import { createSessionLedger } from './session-ledger.ts';

describe('the sessions of a gateway', () => {
  it('say when each moved bytes last, and make no report of that alone', () => {
    let now = 1_000;
    const clock = { now: () => now };
    const onChange = vi.fn();
    const ledger = createSessionLedger(clock.now, onChange);
    const activity = createActivityNote(clock);
    const about = { pool: '/p', user: 'ada', instance: 'one', protocol: 'ssh' as const, client: '192.0.2.1' };
    ledger.add({ ...about, activity, tell: () => undefined, end: () => undefined });
    now = 5_000;
    expect(ledger.report()).toMatchObject([{ since: 1_000, activeAt: 1_000 }]);
    activity.note();
    now = 9_000;
    expect(ledger.report()).toMatchObject([{ since: 1_000, activeAt: 5_000 }]);
    expect(onChange).toHaveBeenCalledOnce();
  });
});
