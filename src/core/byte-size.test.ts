import { describe, expect, it } from 'vitest';
import { describeBytes, parseByteSize } from './byte-size.ts';

const KiB = 1_024;

describe('a size', () => {
  it.each<[string, number | undefined]>([
    ['1', 1],
    ['1B', 1],
    ['1024', KiB],
    ['1K', KiB],
    ['1KiB', KiB],
    ['1kib', KiB],
    ['1KB', 1_000],
    ['10GiB', 10 * KiB ** 3],
    ['10 GiB', 10 * KiB ** 3],
    [' 10G ', 10 * KiB ** 3],
    ['10GB', 10_000_000_000],
    ['1.5M', 1.5 * KiB ** 2],
    ['7PiB', 7 * KiB ** 5],
    ['8PiB', undefined],
    ['9007199254740991', 2 ** 53 - 1],
    ['9007199254740992', undefined],
    ['0', undefined],
    ['0.1', undefined],
    ['-1G', undefined],
    ['1e9', undefined],
    ['10iB', undefined],
    ['10 apples', undefined],
    ['10  GiB', undefined],
    ['GiB', undefined],
    ['none', undefined],
    ['', undefined],
    ['1\n2', undefined],
  ])('%j means %s', (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes);
  });

  it.each<[number, string]>([
    [0, '0 B'],
    [1_023, '1023 B'],
    [KiB, '1 KiB'],
    [1.5 * KiB ** 3, '1.5 GiB'],
    [KiB ** 3 - 1, '1 GiB'],
    [10 * KiB ** 3, '10 GiB'],
    [2_000 * KiB ** 5, '2000 PiB'],
  ])('%d bytes are %s', (bytes, words) => {
    expect(describeBytes(bytes)).toBe(words);
  });
});
