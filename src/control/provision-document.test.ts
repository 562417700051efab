import { describe, expect, it } from 'vitest';
import { peopleDigest } from './provision-document.ts';

const home = { account: 'a', share: 's', folder: 'notebooks/ada', path: '/home/ada' };
const workspace = { ...home, path: '/mnt/shared/notebooks/ada' };
const digest = (signIn: 'gateway' | 'pam', survives: 'notebooks' | 'home', ...attached: (typeof home)[]) =>
  peopleDigest({ people: [], groups: [] }, { signIn, survives })(attached);

describe('what an instance is told of people', () => {
  it('is told again for another sign-in, and other homes', () => {
    expect(new Set([digest('gateway', 'notebooks'), digest('pam', 'notebooks'), digest('gateway', 'home')]).size).toBe(
      3,
    );
  });

  it('is told again when a home that survived is taken away where homes are the machine’s own by now', () => {
    const [shown, gone] = [digest('gateway', 'notebooks', workspace, home), digest('gateway', 'notebooks', workspace)];
    expect(shown).not.toBe(gone);
    expect(gone).toBe(digest('gateway', 'notebooks'));
  });

  it('is not told again for each who comes and goes where homes survive', () => {
    expect(digest('gateway', 'home', home)).toBe(digest('gateway', 'home'));
  });
});
