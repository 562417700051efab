/** What somebody's folders hold on shares, as control says. */
import type { WorkspaceUsage } from '../control/workspace-usage.ts';
import { describeBytes } from '../core/byte-size.ts';
import { askControl } from '../host/local-api.ts';
import { adminSocketOf } from './admin-socket.ts';
import type { Shared } from './shared.ts';

export type Usage = readonly WorkspaceUsage[];

/** Asks for a user's, or a group's. Empty where nobody can say: everything else is shown all the same. */
export async function readUsage(shared: Shared, whose: { user: string } | { group: string }): Promise<Usage> {
  try {
    const query = new URLSearchParams(whose).toString();
    const text = await askControl(await adminSocketOf(shared), `/v1/workspaces?${query}`);
    return (JSON.parse(text) as { workspaces: WorkspaceUsage[] }).workspaces; // of our own process
  } catch {
    return [];
  }
}

/** A line for each share. Pure. */
export function usageInWords(usages: Usage, label: string): string[] {
  return usages.map(({ account, share, folder, usedBytes, quotaBytes }, index) => {
    const most = quotaBytes === null ? '' : ` of ${describeBytes(quotaBytes)}`;
    const before = index === 0 ? label : ' '.repeat(label.length);
    return `${before}${describeBytes(usedBytes)}${most} in ${folder} on ${share} of ${account}`;
  });
}
