/**
 * What control tells the gateway: which ports to listen on and where their connections may go. The gateway asks with
 * `GET /v1/routes?after=REVISION` (a long poll), and keeps the last answer when control is away.
 */
import { z } from 'zod';
import { logLevels } from '../core/log-levels.ts';
import { gatewayPhases } from './gateway-words.ts';
import { sessionSchema } from './people.ts';

export const backendSchema = z.object({
  /** The instance's name in the engine. */
  instance: z.string(),
  address: z.ipv4(),
  port: z.int().min(1).max(65535),
  /** False: existing connections go on, new ones go elsewhere (draining, extensions not done, mounts missing). */
  accepting: z.boolean(),
});

export const probeSchema = z.object({
  /** Resource id of the probe. */
  id: z.string(),
  protocol: z.enum(['tcp', 'http']),
  port: z.int().min(1).max(65535),
  /** Only for http: 200 is healthy, everything else is not. */
  path: z.string().default('/'),
  intervalSeconds: z.number().min(1),
  /** Failures in a row that take an instance out; one success brings it back. */
  failures: z.int().min(1),
});

export const routeSchema = z.object({
  /** `tcp`: bytes are carried for whoever comes. All others know the person first. */
  protocol: z.enum(['tcp', 'ssh', 'http']).default('tcp'),
  /** Key of the scale set that people are placed in; only where the protocol knows people. */
  pool: z.string().optional(),
  /** Stable name of the front end: the load balancing rule's id, or NAT pool's id with the port. */
  id: z.string(),
  /** Where the gateway itself listens. The kernel redirects the public address and port to it. */
  listenPort: z.int().min(1).max(65535),
  publicAddress: z.ipv4(),
  publicPort: z.int().min(1).max(65535),
  /** Azure's loadDistribution: 5-tuple, 2-tuple (SourceIP), 3-tuple (SourceIPProtocol). */
  distribution: z.enum(['Default', 'SourceIP', 'SourceIPProtocol']),
  idleTimeoutSeconds: z.number().positive(),
  probe: probeSchema.nullable(),
  backends: z.array(backendSchema),
});

/** What an operator changes in a gateway that runs: a restart would end connections. */
const gatewaySettingsSchema = z.object({
  logLevel: z.enum(logLevels),
  /** Where the gateway tells its health and its metrics, on loopback. */
  metricsPort: z.int().min(1).max(65535).optional(),
  /** How long one that was replaced carries its connections at most. */
  leaveHours: z.number().nonnegative().optional(),
  /** How many serve at a time. */
  gateways: z.int().positive().optional(),
});

export const routingTableSchema = z.object({
  /** Grows with every change; a new control process begins above the last one. */
  revision: z.number(),
  routes: z.array(routeSchema),
  /** Instances that are asked for their health, whatever front ends lead to them. */
  health: z.array(z.object({ probe: probeSchema, backends: z.array(backendSchema) })).optional(),
  settings: gatewaySettingsSchema.optional(),
});

export type GatewaySettings = z.infer<typeof gatewaySettingsSchema>;
export type Backend = z.infer<typeof backendSchema>;
export type Probe = z.infer<typeof probeSchema>;
/** What a probe asks. */
export type Probed = Pick<z.infer<typeof routeSchema>, 'probe' | 'backends'>;
export type Route = z.infer<typeof routeSchema>;
export type RoutingTable = z.infer<typeof routingTableSchema>;

/** What the gateway tells control, with `POST /v1/reports`, at every change and at least every five seconds. */
export const reportSchema = z.object({
  /** Names one run of one gateway process. */
  gateway: z.string(),
  pid: z.int(),
  phase: z.enum(gatewayPhases).default('serving'),
  /** Milliseconds since 1970: when this run began. */
  startedAt: z.number().default(0),
  /** The table that this report speaks of. */
  revision: z.number(),
  /** One row for each (probe, backend). */
  probes: z.array(
    z.object({
      probe: z.string(),
      instance: z.string(),
      healthy: z.boolean(),
      /** Milliseconds since 1970 of the last change. */
      since: z.number(),
      reason: z.string(),
    }),
  ),
  /** Open connections by route and instance; rows with none are left out. */
  connections: z.array(
    z.object({
      route: z.string(),
      instance: z.string(),
      open: z.int().nonnegative(),
      /** How many of them are of people, whose sessions stand below: a browser has several, and none between two requests. */
      ofPeople: z.int().nonnegative().optional(),
    }),
  ),
  /** Of people; carried to their end also by a gateway that takes no new ones. */
  sessions: z.array(sessionSchema).default([]),
  /** Routes that could not be opened, with the reason. */
  failures: z.array(z.object({ route: z.string(), message: z.string() })),
});

export type Report = z.infer<typeof reportSchema>;
