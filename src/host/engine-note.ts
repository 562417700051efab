/** What was started directly because the engine's daemon did not run: noted with its identity, for only that is ever stopped. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { startedProcessSchema } from './started-process.ts';

const noteSchema = z.object({
  daemon: startedProcessSchema.optional(),
  lxcfs: startedProcessSchema.optional(),
  socketPath: z.string().optional(),
});
export type Note = z.infer<typeof noteSchema>;

export async function readNote(file: string): Promise<Note> {
  const text = await readFile(file, 'utf8').catch(() => '{}');
  try {
    return noteSchema.parse(JSON.parse(text));
  } catch {
    return {}; // a note that cannot be read names no process: nothing is stopped by it
  }
}

export async function writeNote(file: string, note: Note): Promise<void> {
  await writeFile(`${file}.new`, `${JSON.stringify(note)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
