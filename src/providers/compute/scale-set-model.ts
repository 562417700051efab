/**
 * A scale set's document as typed values. Throws with Azure's code where the document does not say what it must; what
 * it says beyond this stays in the document and comes back.
 */
import ssh2 from 'ssh2';
import { scaleInRules, type ScaleInRule } from '../../pool/choose-scale-in.ts';
import type { RepairsPolicy, UpgradePolicy } from '../../pool/scale-set-snapshot.ts';
import { PoolhouseError } from '../../core/errors.ts';
import { dig, type JsonObject } from '../../core/json.ts';
import { isPlaceholder } from '../../secrets/secrets.ts';
import {
  invalid,
  objectAt,
  objects,
  optionalBoolean,
  optionalChoice,
  optionalDuration,
  optionalInteger,
  optionalString,
  requiredInteger,
  requiredString,
} from '../read-body.ts';

/** Azure's defaults. */
const usualPercent = 20;
const usualGrace = 10 * 60_000;
const usualNotice = 5 * 60_000;

export interface ImageModel {
  publisher: string;
  offer: string;
  sku: string;
  version: string;
}

export interface ExtensionModel {
  name: string;
  publisher: string;
  type: string;
  /** As stored: secrets in it are placeholders. */
  settings: JsonObject;
  /** A placeholder for JSON text; undefined where there are none. */
  protectedSettings: string | undefined;
  provisionAfter: string[];
}

export interface AdminModel {
  name: string;
  /** A password, or the placeholder that stands for it. */
  password: string | undefined;
  keys: { path: string; data: string }[];
}

/** What instances are made of: Azure's `virtualMachineProfile`. */
export interface ProfileModel {
  image: ImageModel;
  hostnamePrefix: string;
  admin: AdminModel;
  extensions: ExtensionModel[];
  subnetIds: string[];
  backendPoolIds: string[];
  natPoolIds: string[];
}

export interface ScaleSetModel {
  sizeName: string;
  capacity: number;
  upgrade: Omit<UpgradePolicy, 'canceled'>;
  /** Undefined: nothing is repaired by itself. */
  repairs: RepairsPolicy | undefined;
  /** How long an instance is told before it is terminated; 0: not at all. */
  noticeMilliseconds: number;
  scaleInRule: ScaleInRule;
  /** Its instances go when others need their memory, Azure's spot; undefined: they do not. */
  spot: { evictionPolicy: 'Deallocate' | 'Delete' } | undefined;
  /** Where its instances are spread over; none: it knows no zones. */
  zones: string[];
  profile: ProfileModel;
}

export function readScaleSet(body: JsonObject): ScaleSetModel {
  const profile = dig(body, 'properties', 'virtualMachineProfile');
  if (profile === undefined)
    throw invalid('virtualMachineProfile', `Required parameter 'virtualMachineProfile' is missing (null).`);
  return {
    sizeName: requiredString(body, 'sku', 'name'),
    capacity: requiredInteger(body, { minimum: 0, maximum: 1000 }, 'sku', 'capacity'),
    upgrade: readUpgradePolicy(objectAt(body, 'properties', 'upgradePolicy')),
    repairs: readRepairs(objectAt(body, 'properties', 'automaticRepairsPolicy')),
    noticeMilliseconds: readNotice(objectAt(body, 'properties', 'virtualMachineProfile')),
    scaleInRule: readScaleInRule(body),
    spot: readSpot(objectAt(body, 'properties', 'virtualMachineProfile')),
    zones: readZones(body),
    profile: readProfile(objectAt(body, 'properties', 'virtualMachineProfile')),
  };
}

/** https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-configure-rolling-upgrades */
function readUpgradePolicy(policy: JsonObject): ScaleSetModel['upgrade'] {
  const rolling = objectAt(policy, 'rollingUpgradePolicy');
  const percent = (member: string, minimum: number) =>
    optionalInteger(rolling, { minimum, maximum: 100 }, member) ?? usualPercent;
  return {
    mode: optionalChoice(policy, ['Manual', 'Automatic', 'Rolling'], 'mode') ?? 'Manual',
    maxBatchPercent: percent('maxBatchInstancePercent', 5),
    maxUnhealthyPercent: percent('maxUnhealthyInstancePercent', 5),
    maxUnhealthyUpgradedPercent: percent('maxUnhealthyUpgradedInstancePercent', 0),
    pauseMilliseconds: optionalDuration(rolling, { minimum: 'PT0S', maximum: 'P1D' }, 'pauseTimeBetweenBatches') ?? 0,
  };
}

/** https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-automatic-instance-repairs */
function readRepairs(policy: JsonObject): RepairsPolicy | undefined {
  const graceMilliseconds =
    optionalDuration(policy, { minimum: 'PT10M', maximum: 'PT90M' }, 'gracePeriod') ?? usualGrace;
  const action = optionalChoice(policy, ['Replace', 'Reimage', 'Restart'], 'repairAction') ?? 'Replace';
  return optionalBoolean(policy, 'enabled') === true ? { action, graceMilliseconds } : undefined;
}

/** https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-terminate-notification */
function readNotice(profile: JsonObject): number {
  const path = ['scheduledEventsProfile', 'terminateNotificationProfile'] as const;
  const length = optionalDuration(profile, { minimum: 'PT5M', maximum: 'PT15M' }, ...path, 'notBeforeTimeout');
  return optionalBoolean(profile, ...path, 'enable') === true ? (length ?? usualNotice) : 0;
}

/** `Low` is what Azure called it before. Prices are not looked at: nobody bids on the team's own machines. */
function readSpot(profile: JsonObject): ScaleSetModel['spot'] {
  const evictionPolicy = optionalChoice(profile, ['Deallocate', 'Delete'], 'evictionPolicy');
  const priority = optionalChoice(profile, ['Regular', 'Low', 'Spot'], 'priority') ?? 'Regular';
  return priority === 'Regular' ? undefined : { evictionPolicy: evictionPolicy ?? 'Deallocate' };
}

/** The first one that the list names decides. */
function readScaleInRule(body: JsonObject): ScaleInRule {
  const rules = dig(body, 'properties', 'scaleInPolicy', 'rules');
  if (rules === undefined || rules === null) return 'Default';
  if (!Array.isArray(rules))
    throw invalid('scaleInPolicy.rules', `The value of 'scaleInPolicy.rules' is not valid: a list is expected.`);
  return optionalChoice(body, scaleInRules, 'properties', 'scaleInPolicy', 'rules', 0) ?? 'Default';
}

function readZones(body: JsonObject): string[] {
  const zones = dig(body, 'zones');
  if (zones === undefined || zones === null) return [];
  const names = Array.isArray(zones) ? zones.filter((zone) => typeof zone === 'string' && /^\w{1,20}$/.test(zone)) : [];
  if (!Array.isArray(zones) || names.length !== zones.length || new Set(names).size !== names.length)
    throw invalid(
      'zones',
      `The value of 'zones' is not valid: a list of different names is expected, such as ['1', '2', '3'].`,
    );
  return names as string[]; // just looked at
}

export function readProfile(profile: JsonObject): ProfileModel {
  const configurations = objects(profile, 'networkProfile', 'networkInterfaceConfigurations');
  if (configurations.length === 0) {
    throw invalid(
      'networkProfile',
      `Required parameter 'networkProfile.networkInterfaceConfigurations' is missing or empty.`,
    );
  }
  const addresses = configurations.flatMap((configuration) => objects(configuration, 'properties', 'ipConfigurations'));
  const idsOf = (member: string) => [
    ...new Set(
      addresses.flatMap((address) =>
        objects(address, 'properties', member).map((reference) => requiredString(reference, 'id')),
      ),
    ),
  ];
  return {
    image: readImage(profile),
    hostnamePrefix: readHostnamePrefix(profile),
    admin: readAdmin(profile),
    extensions: objects(profile, 'extensionProfile', 'extensions').map(readExtension),
    subnetIds: [...new Set(addresses.map((address) => requiredString(address, 'properties', 'subnet', 'id')))],
    backendPoolIds: idsOf('loadBalancerBackendAddressPools'),
    natPoolIds: idsOf('loadBalancerInboundNatPools'),
  };
}

function readImage(profile: JsonObject): ImageModel {
  const image = objectAt(profile, 'storageProfile', 'imageReference');
  if (optionalString(image, 'id') !== undefined) {
    throw new PoolhouseError(
      'PlatformImageNotFound',
      `An image by its id ('${optionalString(image, 'id') ?? ''}') cannot be used here. Name publisher, offer, sku and version; 'images/catalogue.json' lists those that are known, and an own catalogue can add to them.`,
      { target: 'imageReference' },
    );
  }
  return {
    publisher: requiredString(image, 'publisher'),
    offer: requiredString(image, 'offer'),
    sku: requiredString(image, 'sku'),
    version: optionalString(image, 'version') ?? 'latest',
  };
}

function readHostnamePrefix(profile: JsonObject): string {
  const prefix = requiredString(profile, 'osProfile', 'computerNamePrefix');
  if (!/^[A-Za-z0-9]([A-Za-z0-9-]{0,56}[A-Za-z0-9-])?$/.test(prefix)) {
    throw invalid(
      'osProfile.computerNamePrefix',
      `The computer name prefix '${prefix.slice(0, 80)}' is not valid: 1 to 58 letters, digits and hyphens, beginning with a letter or digit.`,
    );
  }
  return prefix;
}

/** Names that Azure refuses (https://learn.microsoft.com/azure/virtual-machines/linux/faq), and those of the image's own accounts. */
const refusedNames = new Set(
  (
    'administrator admin user user1 test user2 test1 user3 admin1 1 123 a actuser adm admin2 aspnet backup console david guest john owner root server sql support ' +
    'support_388945a0 sys test2 test3 user4 user5 daemon bin sync games man lp mail news uucp proxy www-data list irc nobody sshd systemd-network systemd-resolve messagebus jupyterhub'
  ).split(' '),
);

function readAdmin(profile: JsonObject): AdminModel {
  const name = requiredString(profile, 'osProfile', 'adminUsername');
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(name) || refusedNames.has(name)) {
    throw invalid(
      'adminUsername',
      `The Admin Username specified is not allowed: '${name.slice(0, 80)}'. Use 1 to 32 of a-z, 0-9, '_' and '-', beginning with a letter, and none of the names that the system itself uses (root, admin, ...).`,
    );
  }
  const password = optionalString(profile, 'osProfile', 'adminPassword');
  const linux = objectAt(profile, 'osProfile', 'linuxConfiguration');
  const keys = objects(linux, 'ssh', 'publicKeys').map((key) => readKey(key, name));
  const passwordOff = optionalBoolean(linux, 'disablePasswordAuthentication') ?? false;
  if (password === undefined && keys.length === 0) {
    throw invalid(
      'adminPassword',
      `Authentication using either SSH or by user name and password must be enabled in Linux profile: 'osProfile' has neither 'adminPassword' nor ssh public keys.`,
    );
  }
  if (passwordOff && keys.length === 0) {
    throw invalid(
      'linuxConfiguration',
      `'disablePasswordAuthentication' is true, and there is no ssh public key: nobody could sign in.`,
    );
  }
  // Templates that leave the choice give one value as both: then it is a key, and the password is nobody's.
  if (password !== undefined && !passwordOff && !isPlaceholder(password)) checkPassword(password);
  return { name, password: passwordOff ? undefined : password, keys };
}

function checkPassword(password: string): void {
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z0-9]/].filter((kind) => kind.test(password)).length;
  if (password.length < 6 || password.length > 72 || kinds < 3 || /[\n\r\0]/.test(password)) {
    throw invalid(
      'adminPassword',
      `The supplied password must be between 6-72 characters long and must satisfy at least 3 of password complexity requirements from the following: 1) Contains an uppercase character 2) Contains a lowercase character 3) Contains a numeric digit 4) Contains a special character.`,
    );
  }
}

function readKey(key: JsonObject, user: string): { path: string; data: string } {
  const data = requiredString(key, 'keyData').trim();
  const path = optionalString(key, 'path') ?? `/home/${user}/.ssh/authorized_keys`;
  if (path !== `/home/${user}/.ssh/authorized_keys`) {
    throw invalid(
      'linuxConfiguration.ssh.publicKeys.path',
      `Destination path for SSH public keys is currently limited to its default value /home/${user}/.ssh/authorized_keys.`,
    );
  }
  const parsed = data.includes('\n') ? new Error('more than one line') : ssh2.utils.parseKey(data);
  if (parsed instanceof Error || parsed.isPrivateKey()) {
    throw invalid(
      'linuxConfiguration.ssh.publicKeys.keyData',
      `The ssh public key of '${user}' is not valid. Expected one line such as 'ssh-ed25519 AAAA… name'.`,
    );
  }
  return { path, data };
}

function readExtension(extension: JsonObject): ExtensionModel {
  const properties = objectAt(extension, 'properties');
  const protectedSettings = dig(properties, 'protectedSettings');
  return {
    name: requiredString(extension, 'name'),
    publisher: requiredString(properties, 'publisher'),
    type: requiredString(properties, 'type'),
    settings: objectAt(properties, 'settings'),
    protectedSettings:
      protectedSettings === undefined || protectedSettings === null
        ? undefined
        : typeof protectedSettings === 'string'
          ? protectedSettings
          : JSON.stringify(objectAt(properties, 'protectedSettings')),
    provisionAfter: Array.isArray(properties['provisionAfterExtensions'])
      ? properties['provisionAfterExtensions'].filter((name) => typeof name === 'string')
      : [],
  };
}

/** What the CustomScript extension is to do. Its settings may be split between the open and the protected ones. */
export interface CustomScript {
  /** A command line; or, where `isScript`, a script as base64, which may be packed with gzip. */
  command: string;
  isScript: boolean;
  fileUris: string[];
  timestamp: number | undefined;
}

/** True for the extension that says how the health of an instance is seen: its probe is the gateway's, and nothing runs inside. */
export function isApplicationHealth(extension: Pick<ExtensionModel, 'publisher' | 'type'>): boolean {
  const name = `${extension.publisher}/${extension.type}`.toLowerCase();
  return name === 'microsoft.managedservices/applicationhealthlinux';
}

export interface HealthProbeModel {
  protocol: 'tcp' | 'http' | 'https';
  port: number;
  path: string;
  intervalSeconds: number;
  failures: number;
}

/**
 * The settings of the application health extension.
 * https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-health-extension
 */
export function readApplicationHealth(settings: JsonObject): HealthProbeModel {
  const protocol = optionalChoice(settings, ['tcp', 'http', 'https'], 'protocol') ?? 'http';
  const usualPort = { tcp: undefined, http: 80, https: 443 }[protocol];
  const port = optionalInteger(settings, { minimum: 1, maximum: 65_535 }, 'port') ?? usualPort;
  if (port === undefined)
    throw invalid(
      'settings.port',
      `The application health extension needs 'port' in its settings where it probes by tcp.`,
    );
  return {
    protocol,
    port,
    path: `/${(optionalString(settings, 'requestPath') ?? '').replace(/^\/+/, '')}`,
    intervalSeconds: optionalInteger(settings, { minimum: 5, maximum: 60 }, 'intervalInSeconds') ?? 5,
    failures: optionalInteger(settings, { minimum: 1, maximum: 24 }, 'numberOfProbes') ?? 1,
  };
}

/** True for the extension that runs scripts on Linux, in all its publishers' names. */
export function isCustomScript(extension: Pick<ExtensionModel, 'publisher' | 'type'>): boolean {
  const name = `${extension.publisher}/${extension.type}`.toLowerCase();
  return ['microsoft.azure.extensions/customscript', 'microsoft.ostcextensions/customscriptforlinux'].includes(name);
}

/** Reads the settings; placeholders may stand for any of the text. */
export function readCustomScript(settings: JsonObject, protectedSettings: JsonObject): CustomScript {
  const command = optionalString(protectedSettings, 'commandToExecute') ?? optionalString(settings, 'commandToExecute');
  const script = optionalString(protectedSettings, 'script') ?? optionalString(settings, 'script');
  if (command !== undefined && script !== undefined)
    throw invalid('settings', `The CustomScript extension takes 'commandToExecute' or 'script', not both.`);
  if (command === undefined && script === undefined)
    throw invalid(
      'settings.commandToExecute',
      `The CustomScript extension needs 'commandToExecute' in its settings or protected settings.`,
    );
  const uris = [...list(settings), ...list(protectedSettings)];
  return {
    command: command ?? script ?? '',
    isScript: command === undefined,
    fileUris: uris,
    timestamp: optionalInteger(settings, { minimum: 0, maximum: 2 ** 53 - 1 }, 'timestamp'),
  };
}

function list(settings: JsonObject): string[] {
  const uris = settings['fileUris'];
  if (uris === undefined || uris === null) return [];
  if (!Array.isArray(uris) || !uris.every((uri) => typeof uri === 'string'))
    throw invalid('settings.fileUris', `'fileUris' must be an array of strings.`);
  return uris;
}
