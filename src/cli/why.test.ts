import { describe, expect, it } from 'vitest';
import type { WhyDocument } from '../control/instance-facts.ts';
import { describeWhy } from './why.ts';

const line = (minute: number, message: string) => ({
  ...{
    at: `2026-11-26T12:0${String(minute)}:00.000Z`,
    operation: 'o',
    status: 'Succeeded',
    caller: 'poolhouse',
    message,
  },
});
const why: WhyDocument = {
  ...{ instance: 'team000001', pool: 'sharedpool', instanceId: '1', present: true, people: [] },
  ...{ capacity: 1, operatorsCapacity: 1, drainsUntil: null, stands: 'It is in rotation.' },
  ...{ because: ['One is asked for.'], stops: ['A smaller capacity.'], history: [line(1, 'It was made.')] },
};

describe('why, for people', () => {
  it('tells how it stands, the reasons, and what was done', () => {
    expect(describeWhy(why).split('\n')).toEqual([
      'It is in rotation.',
      ...['', 'Why it is there', '  One is asked for.'],
      ...['', 'What would stop it', '  A smaller capacity.'],
      ...['', 'What was done with it', '  2026-11-26 12:01Z It was made.', ''],
    ]);
  });

  it('of one that is gone tells its end once', () => {
    const gone = { ...why, present: false, stands: 'It is gone.', because: ['It was removed.'], stops: [] };
    const said = describeWhy({ ...gone, history: [line(2, 'It was removed.'), line(1, 'It was made.')] });
    expect(said).toContain('Why it went');
    expect(said).not.toContain('What would stop it');
    expect(said.match(/It was removed/g)).toHaveLength(1);
  });

  it('moves nobody’s cursor', () => {
    expect(describeWhy({ ...why, because: ['It says \u001b[2J this.'] })).not.toContain('\u001b');
  });
});
