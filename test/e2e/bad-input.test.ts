/**
 * Bad input, sent by the real az: each is refused with Azure's code and a message that names the thing, and nothing is
 * half made. On simulated instances: what is refused here needs none. What needs real ones is in `bad-scripts.test.ts`.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import type { ArmClient } from '../../src/host/arm-client.ts';
import { missingForSystemTests, repository, TestInstallation, type Result } from './installation.ts';

const fixtures = join(repository, '..', 'shared', 'fixtures', 'templates');
const published = join(fixtures, 'dsvm-vmss-cluster.json');
const missing = existsSync(published)
  ? await missingForSystemTests(['az'])
  : 'the published templates are not beside this checkout';
const group = 'team';
const secret = 'Very-Secret-99';

const network = (name: string, more: JsonObject = {}): JsonObject => ({
  type: 'Microsoft.Network/virtualNetworks',
  apiVersion: '2022-07-01',
  name,
  location: 'westeurope',
  properties: {
    addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
    subnets: [{ name: 'a', properties: { addressPrefix: '10.0.0.0/24' } }],
  },
  ...more,
});
const templateOf = (resources: JsonObject[], more: JsonObject = {}): JsonObject => ({
  $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
  contentVersion: '1.0.0.0',
  ...more,
  resources,
});

describe.skipIf(missing !== undefined)(`bad input${missing === undefined ? '' : ` (left out: ${missing})`}`, () => {
  let installation: TestInstallation;
  let folder: string;
  let az: (...argv: string[]) => Promise<Result>;
  let arm: ArmClient;
  let before: string;
  let files: Server;
  let stranger: Server;
  /** What control is answered where az, which looks at the template itself before it sends the link, gets a good one. */
  let answerControl: (request: IncomingMessage, response: ServerResponse) => void;
  const portOf = (server: Server) => (server.address() as AddressInfo).port;

  const deploy = (...argv: string[]) =>
    az('deployment', 'group', 'create', '-g', group, '-n', 'refused', '--no-prompt', 'true', ...argv);
  const file = async (name: string, content: string | JsonObject): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };

  /** All that a refused deployment could leave behind. */
  async function world(): Promise<string> {
    const simulated = await readFile(join(installation.home, 'sim.json'), 'utf8').catch(() => '');
    const resources = `/subscriptions/${arm.subscriptionId}`;
    const deployments = `${resources}/resourceGroups/${group}/providers/Microsoft.Resources/deployments`;
    const lists = [`${resources}/resources`, `${resources}/resourceGroups`, deployments];
    const seen = await Promise.all(lists.map(async (path) => JSON.stringify((await arm.send('GET', path)).body)));
    return [...seen, simulated].join('\n');
  }

  /** Refused with this code, in words that help, and nothing has changed. */
  async function expectRefused(asked: Promise<Result>, code: string, ...says: RegExp[]): Promise<void> {
    const { exitCode, stdout, stderr } = await asked;
    expect({ exitCode, stdout }, stderr).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain(code);
    for (const words of says) expect(stderr).toMatch(words);
    expect(stderr).not.toMatch(/^\s+at |Traceback|InternalServerError/m);
    expect(stderr).not.toContain(secret);
    expect(await world()).toBe(before);
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-bad-'));
    const good = JSON.stringify(templateOf([]));
    files = createServer((request, response) => {
      if (request.headers['user-agent'] === 'poolhouse') answerControl(request, response);
      else response.end(good);
    });
    stranger = createServer((_request, response) => response.end(good));
    for (const server of [files, stranger])
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    installation = await TestInstallation.make({ engine: 'sim', fetchAllow: [`127.0.0.1:${portOf(files)}`] });
    await installation.mustPoolhouse('up');
    az = await installation.az('latest');
    arm = await installation.arm();
    expect(await az('group', 'create', '-n', group, '-l', 'westeurope')).toMatchObject({ exitCode: 0 });
    const kept = await file('kept.json', templateOf([network('kept')]));
    expect(await az('deployment', 'group', 'create', '-g', group, '-n', 'kept', '--template-file', kept)).toMatchObject(
      { exitCode: 0 },
    );
    before = await world();
  });
  beforeEach(() => {
    answerControl = (_request, response) => response.end('{}');
  });
  afterAll(async () => {
    for (const server of [files, stranger]) {
      server.closeAllConnections();
      server.close();
    }
    await installation.destroy();
    await rm(folder, { recursive: true, force: true });
  });

  describe('in parameters', () => {
    const parameters = async (change: (parameters: JsonObject) => void): Promise<string> => {
      const text = await readFile(join(fixtures, 'dsvm-vmss-cluster.parameters.json'), 'utf8');
      const whole = JSON.parse(text) as { parameters: JsonObject };
      whole.parameters['adminPassword'] = { value: secret };
      change(whole.parameters);
      return file('parameters.json', whole);
    };
    const withParameters = async (change: (parameters: JsonObject) => void) =>
      deploy('--template-file', published, '--parameters', `@${await parameters(change)}`);

    it('the published parameters file, unedited: its name is too long', async () => {
      await expectRefused(
        deploy(
          '--template-file',
          published,
          '--parameters',
          `@${join(fixtures, 'dsvm-vmss-cluster.parameters.unedited.json')}`,
        ),
        'InvalidTemplate',
        /'GEN-UNIQUE-8' for the template parameter 'vmssName' at line '\d+' and column '\d+' is not valid/,
        /less than or equal to '9'/,
      );
    });

    it('a missing one: az itself says so, and so does the service', async () => {
      const given = await parameters((all) => delete all['vmssName']);
      const { exitCode, stderr } = await deploy('--template-file', published, '--parameters', `@${given}`);
      expect(exitCode).not.toBe(0);
      expect(stderr).toMatch(/vmssName/);
      const body = await file('body.json', {
        properties: {
          mode: 'Incremental',
          template: JSON.parse(await readFile(published, 'utf8').then(withoutTabs)) as JsonObject,
          parameters: (JSON.parse(await readFile(given, 'utf8')) as { parameters: JsonObject }).parameters,
        },
      });
      await expectRefused(
        az(
          'rest',
          '--method',
          'put',
          '--url',
          `${await groupUrl()}/providers/Microsoft.Resources/deployments/refused?api-version=2021-04-01`,
          '--body',
          `@${body}`,
        ),
        'InvalidTemplate',
        /value for the template parameter 'vmssName' at line '\d+' and column '\d+' is not provided/,
      );
    });

    it('a superfluous one', async () => {
      await expectRefused(
        withParameters((all) => (all['colour'] = { value: 'blue' })),
        'InvalidTemplate',
        /template parameters 'colour' in the parameters file are not valid/,
        /only supported parameters for this template are 'vmSku, vmssName,/,
      );
    });

    it('one that is there twice, in other letters', async () => {
      await expectRefused(
        withParameters((all) => (all['VMSSNAME'] = { value: 'other' })),
        'InvalidTemplate',
        /'vmssName' and 'VMSSNAME'/,
      );
    });

    it('more instances than the template allows', async () => {
      await expectRefused(
        withParameters((all) => (all['instanceCount'] = { value: 101 })),
        'InvalidTemplate',
        /'101' for the template parameter 'instanceCount' at line '\d+' and column '\d+' is not valid/,
        /less than or equal to '100'/,
      );
    });
  });

  describe('in a template', () => {
    const refused = async (template: JsonObject, code: string, ...says: RegExp[]) =>
      expectRefused(deploy('--template-file', await file('template.json', template)), code, ...says);

    it('what is not JSON: az itself says so, and so does the service', async () => {
      const broken = '{\n  "contentVersion": "1.0.0.0",\n  "resources": [ }\n';
      const { exitCode, stderr } = await deploy('--template-file', await file('broken.json', broken));
      expect(exitCode).not.toBe(0);
      expect(stderr).toMatch(/Failed to parse/);
      answerControl = (_request, response) => response.end(broken);
      await expectRefused(
        deploy('--template-uri', `http://127.0.0.1:${portOf(files)}/broken.json`),
        'InvalidTemplate',
        /Deployment template parse failed: .*not valid JSON at line '3' and position '18'/,
      );
    });

    it('an unknown resource type', async () => {
      await refused(
        templateOf([network('half'), { type: 'Microsoft.Sql/servers', apiVersion: '2022-01-01', name: 's' }]),
        'InvalidTemplateDeployment',
        /NoRegisteredProviderFound/,
        /namespace 'Microsoft.Sql' is not supported here.*Supported namespaces: .*Microsoft.Compute/,
      );
    });

    it('an unknown resource type whose properties are known only when another resource is there', async () => {
      const database = {
        type: 'Microsoft.Network/databases',
        apiVersion: '2022-01-01',
        name: 'd',
        properties: { prefix: "[reference('half').addressSpace.addressPrefixes[0]]" },
      };
      await refused(
        templateOf([network('half'), database]),
        'InvalidTemplateDeployment',
        /NoRegisteredProviderFound/,
        /'Microsoft.Network\/databases' is not supported here. Supported types of 'Microsoft.Network': .*virtualNetworks/,
      );
    });

    it.each<[string, JsonObject]>([
      ['in a resource', templateOf([network("[lowerCase('HALF')]")])],
      [
        'in an output',
        templateOf([network('half')], { outputs: { o: { type: 'string', value: "[lowerCase('A')]" } } }),
      ],
    ])('an unknown function %s', async (_where, template) => {
      await refused(template, 'InvalidTemplate', /template function 'lowerCase' is not valid.* at line '\d+'/);
    });

    it('resources that wait for each other in a circle', async () => {
      const chicken = network('chicken', { dependsOn: ['egg'] });
      await refused(
        templateOf([network('half'), chicken, network('egg', { dependsOn: ['chicken'] })]),
        'InvalidTemplate',
        /Circular dependency detected on resource: '[^']*chicken'.*egg/,
      );
    });

    it.each(['..', 'half?x=1', 'half.'])('a name that would lead elsewhere: %s', async (name) => {
      await refused(templateOf([network('half'), network(name)]), 'InvalidTemplate', /has a name that is not valid/);
    });
  });

  describe('in a link to a template', () => {
    const linked = (url = `http://127.0.0.1:${portOf(files)}/template.json?sig=${secret}`) =>
      deploy('--template-uri', url);

    it('that does not answer', async () => {
      answerControl = (request) => request.socket.destroy();
      await expectRefused(
        linked(),
        'InvalidContentLink',
        /Unable to download deployment content: 'http:\/\/127.0.0.1:\d+\/template.json' could not be reached/,
      );
    });

    it('that answers with something else', async () => {
      answerControl = (_request, response) => response.writeHead(404).end(`not here: ${secret}`);
      await expectRefused(linked(), 'InvalidContentLink', /template.json' answered with status 404/);
    });

    it('that begins to answer, and goes on slowly', { timeout: 120_000 }, async () => {
      let drops: NodeJS.Timeout | undefined;
      answerControl = (_request, response) => {
        response.writeHead(200);
        drops = setInterval(() => response.write(' '), 200);
      };
      await expectRefused(linked(), 'InvalidContentLink', /template.json' did not arrive within 30 s/);
      clearInterval(drops);
    });

    it('that is larger than a template may be', async () => {
      answerControl = (_request, response) => response.end(' '.repeat(6 * 2 ** 20));
      await expectRefused(linked(), 'InvalidContentLink', /template.json' is larger than 5 MB/);
    });

    it('that leads to control itself', async () => {
      const { port } = new URL((await installation.status()).control.url);
      for (const host of ['127.0.0.1', 'localhost', '0.0.0.0', '[::1]']) {
        answerControl = (_request, response) =>
          response.writeHead(302, { location: `https://${host}:${port}/metadata/endpoints` }).end();
        await expectRefused(linked(), 'InvalidContentLink', /is not fetched: it is the control plane itself/);
      }
    });

    it('that is not allowed, by itself and after a redirect', async () => {
      const refusal =
        /is not fetched: 127.0.0.1 is an inner address. To allow it, add \\*"127.0.0.1:\d+\\*" to 'fetchAllow'/;
      const inner = `http://127.0.0.1:${portOf(stranger)}/template.json`;
      await expectRefused(linked(inner), 'InvalidContentLink', refusal);
      answerControl = (_request, response) => response.writeHead(302, { location: inner }).end();
      await expectRefused(linked(), 'InvalidContentLink', refusal);
      answerControl = (_request, response) =>
        response.writeHead(302, { location: 'http://169.254.169.254/metadata/instance' }).end();
      await expectRefused(linked(), 'InvalidContentLink', /169.254.169.254 is an inner address/);
    });
  });

  it('a tag of ours whose value is none', async () => {
    const tags = JSON.stringify({ 'poolhouse-script-minutes': 'for ever' });
    const template = (await readFile(published, 'utf8')).replace(
      '"type": "Microsoft.Compute/virtualMachineScaleSets",',
      (found) => `${found} "tags": ${tags},`,
    );
    await expectRefused(
      deploy(
        '--template-file',
        await file('tagged.json', template),
        '--parameters',
        `@${join(fixtures, 'dsvm-vmss-cluster.parameters.json')}`,
      ),
      'InvalidTemplateDeployment',
      /InvalidParameter/,
      /"for ever\\*" of the tag 'poolhouse-script-minutes' is not valid: minutes from 0.05 to 1440/,
    );
  });

  const withoutTabs = (text: string) => text.replaceAll('\t', ' ');
  async function groupUrl(): Promise<string> {
    const shown = await az('group', 'show', '-n', group, '--query', 'id', '-o', 'tsv');
    return shown.stdout.trim();
  }
});
