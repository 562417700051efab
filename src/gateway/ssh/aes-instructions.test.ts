import { expect, it } from 'vitest';
import { hasAesInstructions, readProcessorInfo } from './aes-instructions.ts';

it.each([
  ['x86 with them', 'model name\t: AMD EPYC\nflags\t\t: fpu sse2 aes xsave\n', true],
  ['x86 that ends with them', 'flags\t\t: fpu aes\n', true],
  ['x86 without', 'flags\t\t: fpu vaes sse2 aesx\n', false],
  ['ARM with them', 'Features\t: fp asimd aes pmull\n', true],
  ['ARM without', 'Features\t: fp asimd\n', false],
  ['nothing told', readProcessorInfo('/nonexistent'), false],
])('instructions for AES: %s', (_, text, has) => {
  expect(hasAesInstructions(text)).toBe(has);
});
