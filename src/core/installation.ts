/** What the first `up` decides for good: names, ids, ports. Kept in `installation.json`. */
import { z } from 'zod';

const port = z.int().min(1).max(65535);

export const installationSchema = z.object({
  /** 8 hexadecimal digits: part of every name on the host. */
  id: z.string().regex(/^[0-9a-f]{8}$/),
  engine: z.enum(['incus', 'sim']),
  apiPort: port,
  /** Where each process tells its health and its metrics, on 127.0.0.1. Installations from before get theirs at the next `up`. */
  metricsPorts: z.object({ control: port, gateway: port }).optional(),
  /** Where files of shares are served on 127.0.0.1 (Azure Files' REST interface). Likewise. */
  filesPort: port.optional(),
  /** /24 of 127.77.0.0/16 for public addresses. */
  addressBlock: z.string().regex(/^127\.77\.\d{1,3}\.0\/24$/),
  subscriptionId: z.uuid(),
  tenantId: z.uuid(),
  clientId: z.uuid(),
  createdAt: z.string(),
});

export type Installation = z.infer<typeof installationSchema>;

/** The public addresses of an installation's own block: `.10` to `.250`. */
export function blockAddresses(addressBlock: string): string[] {
  const stem = addressBlock.split('.').slice(0, 3).join('.');
  return Array.from({ length: 241 }, (_, index) => `${stem}.${10 + index}`);
}

/** Where a process tells its health and its metrics. */
export interface MonitorUrls {
  healthUrl: string;
  metricsUrl: string;
}

/** Undefined where the process has no port yet. */
export function monitorUrls(
  installation: Pick<Installation, 'metricsPorts'>,
  process: 'control' | 'gateway',
): MonitorUrls | undefined {
  const port = installation.metricsPorts?.[process];
  if (port === undefined) return undefined;
  return { healthUrl: `http://127.0.0.1:${port}/healthz`, metricsUrl: `http://127.0.0.1:${port}/metrics` };
}
