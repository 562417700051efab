import { Command } from 'commander';
import type { WhyDocument } from '../control/instance-facts.ts';
import { askControl } from '../host/local-api.ts';
import { adminSocketOf } from './admin-socket.ts';
import { printAnswer } from './people-words.ts';
import { plainLine } from './plain-text.ts';
import type { Shared } from './shared.ts';

/** Of the history, for people; `--json` has more. */
const mostLines = 10;

export function whyCommand({ home }: Shared): Command {
  return new Command('why')
    .description('why an instance is up or was stopped, who is on it, and what would stop it')
    .argument('<instance>', `its name in 'poolhouse status'; also one that is gone`)
    .option('--json', 'print it as one JSON document')
    .addHelpText('after', '\nExamples:\n  poolhouse why team000001\n  poolhouse why team000001 --json | jq .people')
    .action(async (instance: string, options: { json?: true }) => {
      const text = await askControl(await adminSocketOf({ home }), `/v1/instances/${encodeURIComponent(instance)}/why`);
      const why = JSON.parse(text) as WhyDocument; // of our own process
      printAnswer(options, why, () => describeWhy(why));
    });
}

/** For people. Pure. */
export function describeWhy({ present, stands, because, stops, history }: WhyDocument): string {
  const section = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${plainLine(line)}`)];
  const done = history
    .slice(0, mostLines)
    .map(({ at, message }) => `${at.slice(0, 16).replace('T', ' ')}Z  ${message}`);
  const lines = [
    plainLine(stands),
    ...section(present ? 'Why it is there' : 'Why it went', because),
    ...section('What would stop it', stops),
    ...section('What was done with it', present ? done : done.slice(1)),
  ];
  return `${lines.join('\n')}\n`;
}
