/** Whether the processor has instructions of its own for AES. */
import { readFileSync } from 'node:fs';

/** As Linux tells it in `/proc/cpuinfo`: among the flags of x86, among the features of ARM. Pure. */
export function hasAesInstructions(cpuinfo: string): boolean {
  return /^(?:flags|Features)\s*:.*\saes(?:\s|$)/m.test(cpuinfo);
}

/** Empty where the system does not tell. */
export function readProcessorInfo(file = '/proc/cpuinfo'): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
