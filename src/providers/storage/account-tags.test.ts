import { describe, expect, it } from 'vitest';
import { readAccountTags } from './account-tags.ts';

describe("a storage account's usual quota", () => {
  it.each<[tags: Record<string, string> | undefined, bytes: number | undefined]>([
    [undefined, undefined],
    [{}, undefined],
    [{ 'poolhouse-user-quota': 'none' }, undefined],
    [{ 'poolhouse-user-quota': '10GiB' }, 10 * 2 ** 30],
  ])('by %j', (tags, bytes) => {
    expect(readAccountTags(tags === undefined ? {} : { tags }).userQuotaBytes).toBe(bytes);
  });

  it.each(['', '0', 'much', 5])('is refused as %j', (value) => {
    expect(() => readAccountTags({ tags: { 'poolhouse-user-quota': value } })).toThrow(/'10GiB' or 'none'/);
  });
});
