import { describe, expect, it } from 'vitest';
import { bindingAmong } from './placer.ts';

describe('where somebody is bound to, by what all gateways know', () => {
  it.each([
    ['nobody knows them', [{}, {}], undefined],
    ['their session here', [{ session: 'a' }, { session: 'b' }], 'a'],
    ['their session through another gateway', [{}, { session: 'b' }], 'b'],
    ['a session before where they were sent once', [{ sentTo: 'a' }, { session: 'b' }], 'b'],
    ['where they were sent', [{}, { sentTo: 'b' }], 'b'],
  ])('%s', (_what, places, instance) => {
    expect(bindingAmong(places)).toBe(instance);
  });
});
