/** What is told when autoscale has changed a capacity: by webhook and by e-mail, as a setting's notifications say. */
import type { JsonObject } from '../core/json.ts';

export interface ScaleNotification {
  operation: 'Scale Out' | 'Scale In';
  /** The autoscale setting's id and name, and the resource that it scales. */
  settingId: string;
  settingName: string;
  resourceId: string;
  at: number;
  oldCapacity: number;
  newCapacity: number;
  /** One sentence: which rule, why. */
  details: string;
  /** The setting's `notifications` as in its document. */
  notifications: readonly JsonObject[];
}

export type Notify = (event: ScaleNotification) => void;
