/** Certificates of our host keys, from the operator's files: read again and again, so that a renewed one counts at once. */
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';

const longest = 16 * 1024;

/** Their lines. A file that cannot be read is told once, and again when that changes; gateways judge what stands in them. */
export function createHostCertificates(files: readonly string[], log: Logger): () => Promise<string[]> {
  const told = new Map<string, string>();
  return async () => {
    const lines = await Promise.all(
      files.map(async (file) => {
        try {
          const text = await readFile(file, 'utf8');
          if (text.length > longest) throw new Error('it is too long for certificates');
          told.delete(file);
          return text
            .split('\n')
            .map((line) => line.trim())
            .filter((line) => line !== '' && !line.startsWith('#'));
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          if (told.get(file) !== reason) log.warn({ file, reason }, 'a host certificate cannot be read');
          told.set(file, reason);
          return [];
        }
      }),
    );
    return lines.flat();
  };
}
