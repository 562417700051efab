/** A person's password from standard input, or from whoever sits at the terminal: never from an argument. */
import { text as readAll } from 'node:stream/consumers';
import * as prompts from '@clack/prompts';
import { UsageError } from './usage-error.ts';

/** Of a terminal it is asked twice, without being shown; otherwise all that comes is it, but for a line break at its end. */
export async function askPassword(name: string): Promise<string> {
  const password = process.stdin.isTTY ? await askTwice(name) : (await readAll(process.stdin)).replace(/\r?\n$/, '');
  if (password === '') throw new UsageError('No password came on standard input. Nothing was changed.');
  return password;
}

async function askTwice(name: string): Promise<string> {
  const once = await ask(`A password for ${name}`);
  if ((await ask('The same again')) !== once) throw new UsageError('The two were not the same. Nothing was changed.');
  return once;
}

async function ask(message: string): Promise<string> {
  const answer = await prompts.password({ message, output: process.stderr });
  if (prompts.isCancel(answer)) throw new UsageError('Nothing was changed.');
  return answer;
}
