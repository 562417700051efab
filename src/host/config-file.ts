/** `config.json` as a file: comments and trailing commas are allowed, and what cannot be read is said with its name. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { readConfig, type Config } from '../core/config.ts';
import { PoolhouseError } from '../core/errors.ts';
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import { parseLenient } from '../template/parse-lenient.ts';

export interface ConfigFile {
  text: string;
  /** As it is written. */
  value: JsonObject;
  /** With defaults. */
  config: Config;
}

/** `InvalidConfiguration` says line and column, or which key is wrong. A missing or empty file sets nothing. */
export async function readConfigFile(file: string): Promise<ConfigFile> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new PoolhouseError(
      'HostNotReady',
      `${file} cannot be read. Run this as the user who owns it (root, usually).`,
      { cause: error },
    );
  });
  const value = text.trim() === '' ? {} : parse(file, text);
  const config = readConfig(value, file);
  return { text, value: isObject(value) ? value : {}, config };
}

/** The file with some keys changed; nothing is written where nothing changes. Comments are kept in a copy. */
export async function changeConfigFile(file: string, before: ConfigFile, changes: JsonObject): Promise<void> {
  const changed = { ...before.value, ...changes };
  if (JSON.stringify(changed) === JSON.stringify(before.value)) return;
  if (!isStrictJson(before.text)) await writeFile(`${file}.before`, before.text, { mode: 0o600 });
  await writeFile(`${file}.new`, `${JSON.stringify(changed, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

function parse(file: string, text: string): Json {
  try {
    return parseLenient(text).value;
  } catch (error) {
    throw new PoolhouseError(
      'InvalidConfiguration',
      `${file} cannot be read: ${error instanceof Error ? error.message : ''}`,
      { cause: error },
    );
  }
}

function isStrictJson(text: string): boolean {
  if (text.trim() === '') return true;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
