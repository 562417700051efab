/** The passphrase from a file, from standard input, or from the person at the terminal: never from an argument. */
import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import * as prompts from '@clack/prompts';
import type { AskPassphrase } from '../host/master-key.ts';
import { UsageError } from './usage-error.ts';

const shortest = 12;

/** @param file a path, `-` for standard input, or undefined to ask the person */
export function passphraseFrom(file: string | undefined): AskPassphrase {
  return async (isNew) => {
    const given = file === undefined ? await ask(isNew) : await read(file);
    if (given !== undefined && isNew && given.length < shortest)
      throw new UsageError(
        `A passphrase has at least ${shortest} characters: it guards every secret of this installation.`,
      );
    return given;
  };
}

async function read(file: string): Promise<string> {
  const content =
    file === '-'
      ? await readAll(process.stdin)
      : await readFile(file, 'utf8').catch((error: unknown) => {
          throw new UsageError(`${file} cannot be read: ${(error as Error).message}`);
        });
  return content.replace(/\r?\n$/, '');
}

async function ask(isNew: boolean): Promise<string | undefined> {
  if (!process.stdin.isTTY) return undefined;
  const once = await askOnce(
    isNew ? 'A new passphrase for the secrets of this installation' : 'The passphrase of this installation',
  );
  if (isNew && (await askOnce('The same again')) !== once)
    throw new UsageError('The two were not the same. Nothing was changed.');
  return once;
}

async function askOnce(message: string): Promise<string> {
  const answer = await prompts.password({ message, output: process.stderr });
  if (prompts.isCancel(answer)) throw new UsageError('Nothing was changed.');
  return answer;
}
