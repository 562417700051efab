/** A load balancer's document as typed values. Throws `InvalidParameter` where the document does not say what it must. */
import type { JsonObject } from '../../core/json.ts';
import {
  optionalBoolean,
  optionalChoice,
  optionalInteger,
  optionalString,
  objects,
  requiredInteger,
  requiredString,
  invalid,
} from '../read-body.ts';

export interface FrontEndModel {
  name: string;
  publicAddressId: string | undefined;
}

export interface RuleModel {
  name: string;
  frontEndId: string;
  backendPoolId: string | undefined;
  probeId: string | undefined;
  protocol: 'Tcp' | 'Udp' | 'All';
  frontendPort: number;
  backendPort: number;
  distribution: 'Default' | 'SourceIP' | 'SourceIPProtocol';
  idleTimeoutMinutes: number;
}

export interface ProbeModel {
  name: string;
  protocol: 'Tcp' | 'Http' | 'Https';
  port: number;
  path: string;
  intervalSeconds: number;
  failures: number;
}

export interface NatPoolModel {
  name: string;
  frontEndId: string;
  portStart: number;
  portEnd: number;
  backendPort: number;
  idleTimeoutMinutes: number;
}

export interface LoadBalancerModel {
  frontEnds: FrontEndModel[];
  rules: RuleModel[];
  probes: ProbeModel[];
  natPools: NatPoolModel[];
}

const port = { minimum: 1, maximum: 65535 };
const idleMinutes = { minimum: 4, maximum: 100 };

export function readLoadBalancer(body: JsonObject): LoadBalancerModel {
  return {
    frontEnds: objects(body, 'properties', 'frontendIPConfigurations').map((item) => ({
      name: requiredString(item, 'name'),
      publicAddressId: optionalString(item, 'properties', 'publicIPAddress', 'id'),
    })),
    rules: objects(body, 'properties', 'loadBalancingRules').map((item) => ({
      name: requiredString(item, 'name'),
      frontEndId: requiredString(item, 'properties', 'frontendIPConfiguration', 'id'),
      backendPoolId: optionalString(item, 'properties', 'backendAddressPool', 'id'),
      probeId: optionalString(item, 'properties', 'probe', 'id'),
      protocol: optionalChoice(item, ['Tcp', 'Udp', 'All'], 'properties', 'protocol') ?? 'Tcp',
      frontendPort: requiredInteger(item, port, 'properties', 'frontendPort'),
      backendPort: requiredInteger(item, port, 'properties', 'backendPort'),
      distribution:
        optionalChoice(item, ['Default', 'SourceIP', 'SourceIPProtocol'], 'properties', 'loadDistribution') ??
        'Default',
      idleTimeoutMinutes: optionalInteger(item, idleMinutes, 'properties', 'idleTimeoutInMinutes') ?? 4,
    })),
    probes: objects(body, 'properties', 'probes').map((item) => ({
      name: requiredString(item, 'name'),
      protocol: optionalChoice(item, ['Tcp', 'Http', 'Https'], 'properties', 'protocol') ?? 'Tcp',
      port: requiredInteger(item, port, 'properties', 'port'),
      path: optionalString(item, 'properties', 'requestPath') ?? '/',
      intervalSeconds: optionalInteger(item, { minimum: 1, maximum: 3600 }, 'properties', 'intervalInSeconds') ?? 15,
      failures:
        optionalInteger(item, { minimum: 1, maximum: 100 }, 'properties', 'numberOfProbes') ??
        optionalInteger(item, { minimum: 1, maximum: 100 }, 'properties', 'probeThreshold') ??
        2,
    })),
    natPools: objects(body, 'properties', 'inboundNatPools').map((item) => {
      const pool = {
        name: requiredString(item, 'name'),
        frontEndId: requiredString(item, 'properties', 'frontendIPConfiguration', 'id'),
        portStart: requiredInteger(item, port, 'properties', 'frontendPortRangeStart'),
        portEnd: requiredInteger(item, port, 'properties', 'frontendPortRangeEnd'),
        backendPort: requiredInteger(item, port, 'properties', 'backendPort'),
        idleTimeoutMinutes: optionalInteger(item, idleMinutes, 'properties', 'idleTimeoutInMinutes') ?? 4,
      };
      optionalBoolean(item, 'properties', 'enableFloatingIP');
      if (pool.portEnd < pool.portStart) {
        throw invalid(
          `inboundNatPools.${pool.name}`,
          `The port range of the inbound NAT pool '${pool.name}' ends (${pool.portEnd}) before it starts (${pool.portStart}).`,
        );
      }
      return pool;
    }),
  };
}
