import { describe, expect, it } from 'vitest';
import type { AskedMount } from './instance-state.ts';
import { planAttachments, type AttachmentSnapshot, type PersonThere, type ShownFolder } from './plan-attachments.ts';

const share = { account: 'acct', share: 'shared' };
const at = (folder: string, path = folder === '' ? '/mnt/shared' : `/mnt/shared/${folder}`): ShownFolder => ({
  ...share,
  ...{ folder, path },
});
const home = (user: string) => at(`notebooks/${user}`, `/home/${user}`);
const mount = (shown: AskedMount['shown']): AskedMount => ({ ...share, target: '/mnt/shared', shown });
const person = (name: string, how: 'came' | 'seen' | 'away', ...groups: string[]): PersonThere => ({
  ...{ name, groups },
  isThere: how !== 'away',
  hasCome: how === 'came',
});
const azures = at('notebooks/azure');

function snapshot(changes: Partial<AttachmentSnapshot>): AttachmentSnapshot {
  return {
    ...{ isolation: 'user', survives: 'notebooks', isKnown: true, admin: 'azure' },
    ...{ mounts: [mount('workspaces')], attached: [azures], people: [] },
    ...changes,
  };
}
/** In short: what is done with what. */
const planned = (changes: Partial<AttachmentSnapshot>) =>
  planAttachments(snapshot(changes)).map((step) => {
    switch (step.step) {
      case 'endProcesses':
        return `end ${step.user}`;
      case 'detach':
        return `detach ${step.path}`;
      case 'attach':
        return `attach ${step.as} ${step.shown.path}`;
      case 'note':
        return `note ${step.mount} ${step.shown}`;
    }
  });

describe('what an instance is shown of its shares', () => {
  const came = [person('alice', 'came', 'team'), person('bob', 'away', 'team', 'lab')];
  it.each<[string, Partial<AttachmentSnapshot>, string[]]>([
    ['nothing, where nothing was mounted', { mounts: [], attached: [], people: came }, []],
    [
      'the admin user’s workspace, whoever is there',
      { attached: [] },
      ['attach workspace /mnt/shared/notebooks/azure'],
    ],
    [
      'the workspace and the groups’ folders of who has come, and of nobody else',
      { people: came },
      ['attach workspace /mnt/shared/notebooks/alice', 'attach group /mnt/shared/groups/team'],
    ],
    [
      'nothing of who is only seen there: root runs programs as anybody',
      { people: [person('bob', 'seen', 'team')] },
      [],
    ],
    [
      'what it was shown already of who left something running',
      { people: [person('bob', 'seen', 'team')], attached: [azures, at('notebooks/bob'), at('groups/team')] },
      [],
    ],
    [
      'nothing more of who is gone, whose processes end first',
      { people: [person('bob', 'away', 'team')], attached: [azures, at('groups/team'), at('notebooks/bob')] },
      ['end bob', 'detach /mnt/shared/groups/team', 'detach /mnt/shared/notebooks/bob'],
    ],
    [
      'a group’s folder as long as one of its members is there',
      {
        people: [person('alice', 'seen', 'team'), person('bob', 'away', 'team')],
        attached: [azures, at('notebooks/alice'), at('notebooks/bob'), at('groups/team')],
      },
      ['end bob', 'detach /mnt/shared/notebooks/bob'],
    ],
    [
      'nothing of a group whose member is only seen there',
      { people: [person('alice', 'came'), person('bob', 'seen', 'team')], attached: [azures, at('notebooks/alice')] },
      [],
    ],
    [
      'nothing more of who is no person of the pool any more',
      { attached: [azures, at('notebooks/carol')] },
      ['end carol', 'detach /mnt/shared/notebooks/carol'],
    ],
    [
      'everything as it is while it is not known who is there',
      { isKnown: false, attached: [azures, at('notebooks/bob')], mounts: [mount('share')], isolation: 'share' },
      [],
    ],
    [
      'folders in place of a whole share, once nobody is there',
      { mounts: [mount('share')], attached: [at('')] },
      ['detach /mnt/shared', 'attach workspace /mnt/shared/notebooks/azure', 'note /mnt/shared workspaces'],
    ],
    [
      'the whole share while anybody is there who has it',
      { mounts: [mount('share')], attached: [at('')], people: [person('azure', 'seen')] },
      [],
    ],
    [
      'the whole share in place of folders, once nobody is there',
      { isolation: 'share' },
      ['detach /mnt/shared/notebooks/azure', 'attach share /mnt/shared', 'note /mnt/shared share'],
    ],
    [
      'folders while anybody is there, also where all would be shown by now',
      { isolation: 'share', people: came },
      ['attach workspace /mnt/shared/notebooks/alice', 'attach group /mnt/shared/groups/team'],
    ],
    ['no whole share again that root took off', { isolation: 'share', mounts: [mount('share')], attached: [] }, []],
    [
      'other folders that were mounted there, in a pool without isolation',
      { isolation: 'share', mounts: [mount('share')], attached: [at(''), at('groups/data', '/data')] },
      [],
    ],
    [
      'nothing more of what root has mounted there before there was isolation: snapshots hold everybody’s files',
      {
        people: [person('bob', 'away')],
        attached: [
          azures,
          at('.snapshots/auto-1', '/old'),
          at('notebooks/bob/.snapshots/auto-1', '/bobs'),
          at('groups/data', '/data'),
          at('notebooks/azure', '/again'),
        ],
      },
      ['detach /old', 'detach /bobs', 'detach /data', 'detach /again'],
    ],
    [
      'the home of who has come, and not the admin user’s',
      {
        survives: 'home',
        people: [...came, person('azure', 'came')],
        attached: [azures, at('notebooks/alice'), at('groups/team')],
      },
      ['attach home /home/alice'],
    ],
    [
      'the home also where the share is whole, of the first share alone',
      {
        ...{ isolation: 'share', survives: 'home', people: [person('alice', 'came')] },
        mounts: [mount('share'), { ...mount('share'), share: 'other', target: '/mnt/other' }],
        attached: [at(''), { ...at('', '/mnt/other'), share: 'other' }],
      },
      ['attach home /home/alice'],
    ],
    [
      'no home more of who is gone, before the workspace that it lies in',
      { survives: 'home', attached: [azures, at('notebooks/alice'), home('alice')] },
      ['end alice', 'detach /home/alice', 'detach /mnt/shared/notebooks/alice'],
    ],
    [
      'a home as long as its owner is there, also where homes no longer survive',
      { people: [person('alice', 'came')], attached: [azures, at('notebooks/alice'), home('alice')] },
      [],
    ],
  ])('is %s', (_, changes, steps) => {
    expect(planned(changes)).toEqual(steps);
  });

  it('is what was asked for, and nothing is left to do then', () => {
    for (const isolation of ['user', 'share'] as const)
      for (const shown of ['workspaces', 'share'] as const)
        for (const survives of ['home', 'notebooks'] as const)
          for (const people of [[], came, [person('bob', 'seen', 'team')]])
            for (const attached of [[], [at('')], [azures, at('notebooks/bob'), at('groups/lab'), home('bob')]]) {
              const before = snapshot({ isolation, survives, people, attached, mounts: [mount(shown)] });
              expect(planAttachments(apply(before)), JSON.stringify(before)).toEqual([]);
            }
  });
});

/** As the executors do. */
function apply(before: AttachmentSnapshot): AttachmentSnapshot {
  let { attached, mounts } = before;
  for (const step of planAttachments(before)) {
    if (step.step === 'detach') attached = attached.filter(({ path }) => path !== step.path);
    if (step.step === 'attach') attached = [...attached, step.shown];
    if (step.step === 'note') mounts = mounts.map((one) => ({ ...one, shown: step.shown }));
  }
  return { ...before, attached, mounts };
}
