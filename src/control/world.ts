/** What the loops of control share. Made once, in the composition root. */
import type { Logger } from 'pino';
import type { Clock } from '../core/time.ts';
import type { Engine } from '../engines/engine.ts';
import type { ShareFiles } from '../files/share-files.ts';
import type { Registry } from '../providers/resource-type.ts';
import type { InnerResourceService } from '../providers/create-resource-service.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { Store } from '../store/store.ts';
import type { GatewayReports } from './gateway-reports.ts';
import type { InstanceFolders } from './instance-folders.ts';
import type { LiveView } from './live-view.ts';
import type { Observer } from './observer.ts';
import type { WorkspaceMemory } from './workspace-memory.ts';

export interface World {
  store: Store;
  engine: Engine;
  /** What shares hold. */
  shareFiles: ShareFiles;
  secrets: Secrets;
  registry: Registry;
  service: InnerResourceService;
  reports: GatewayReports;
  live: LiveView;
  observer: Observer;
  /** What instances are shown of shares, beside what they have mounted whole. */
  folders: InstanceFolders;
  workspaces: WorkspaceMemory;
  clock: Clock;
  log: Logger;
  newId(): string;
  /** Wakes every loop: something has changed. */
  changed(): void;
}
