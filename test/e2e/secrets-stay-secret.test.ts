/**
 * A deployment full of secrets, sent by the real az, and what goes wrong with others like it; all the while every process
 * of the host is looked at. Afterwards everything that could have kept a secret is searched for all of them.
 */
import { randomBytes } from 'node:crypto';
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { homeAt } from '../../src/core/home.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { openKeyring, unsealUnder } from '../../src/secrets/keyring.ts';
import { openStore } from '../../src/store/store.ts';
import { missingForSystemTests, must, run, ssh, TestInstallation, until, type Result } from './installation.ts';
import { poolResources, poolUser } from './pool-resources.ts';
import { foundIn, searchedForms } from './secret-forms.ts';

const missing = await missingForSystemTests(['az', 'sshpass', 'nft', 'mmdebstrap', 'curl']);
const group = 'team';
/** With characters that every way of writing writes in another way. */
const newSecret = (name: string) => `${name}/"${randomBytes(9).toString('hex')}&%+Z`;
const secrets = {
  adminPassword: `Aa1"${randomBytes(9).toString('hex')}&+`,
  secret: newSecret('plain'),
  protectedSecret: newSecret('protected'),
  bundle: { inner: newSecret('object'), deep: { list: [newSecret('list')] } },
  signature: newSecret('signature'),
};

describe.skipIf(missing !== undefined)(
  `secrets stay secret${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let installation: TestInstallation;
    let folder: string;
    let files: Server;
    let az: (...argv: string[]) => Promise<Result>;
    let sampler: ChildProcessWithoutNullStreams;
    let samples: AsyncIterator<string>;
    let begun: number;
    const known = new Map<string, readonly Buffer[]>();
    /** Everything that az printed, and that was not asked to print a key. */
    const printed: string[] = [];
    const events: string[] = [];
    let eventSocket: WebSocket;
    /** There once the engine's daemon runs, which the first `up` starts. */
    const engineSocket = () =>
      ['/var/lib/incus/unix.socket', '/var/lib/lxd/unix.socket'].find((path) => existsSync(path)) ?? '';
    const engineFolders = ['lxd', 'incus'];
    const engine = (path: string) => must('curl', ['-s', '--unix-socket', engineSocket(), `http://d${path}`]);
    const learn = (name: string, secret: string | Buffer) => known.set(name, searchedForms(secret));

    async function shown(...argv: string[]): Promise<Result> {
      const result = await az(...argv);
      printed.push(`az ${argv.join(' ')}\n${result.stdout}\n${result.stderr}`);
      return result;
    }
    async function succeed(asked: Promise<Result>): Promise<string> {
      const result = await asked;
      expect(result, result.stderr).toMatchObject({ exitCode: 0 });
      return result.stdout;
    }
    const keys = async (...verb: string[]) =>
      (
        JSON.parse(
          await succeed(az('storage', 'account', 'keys', ...verb, '-g', group, '-n', 'teamfiles', '-o', 'json')),
        ) as {
          value: string;
        }[]
      ).map((one) => one.value);
    const schema = 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#';
    const parameters: JsonObject = {
      adminPassword: { type: 'securestring' },
      secret: { type: 'securestring' },
      protectedSecret: { type: 'securestring' },
      bundle: { type: 'secureObject' },
    };
    const templateOf = (parts: JsonObject): JsonObject => ({
      $schema: schema,
      contentVersion: '1.0.0.0',
      resources: [],
      ...parts,
    });
    const network = (name: string, tags: JsonObject): JsonObject => ({
      type: 'Microsoft.Network/virtualNetworks',
      apiVersion: '2022-07-01',
      name,
      location: 'westeurope',
      tags,
      properties: { addressSpace: { addressPrefixes: ['10.9.0.0/16'] } },
    });
    const nested = (name: string, scope: string, template: JsonObject, given: JsonObject): JsonObject => ({
      type: 'Microsoft.Resources/deployments',
      apiVersion: '2021-04-01',
      name,
      properties: { mode: 'Incremental', expressionEvaluationOptions: { scope }, template, parameters: given },
    });
    const listed = "listKeys(resourceId('Microsoft.Storage/storageAccounts', 'teamfiles'), '2022-09-01').keys[0].value";

    /** A pool whose script is given secrets in every way that there is, and says them aloud. */
    function loudPool(name: string, exitCode: number): JsonObject[] {
      const resources = poolResources({ name, command: 'true' });
      const set = resources.at(-1) as unknown as {
        properties: {
          virtualMachineProfile: {
            osProfile: { adminPassword: string };
            extensionProfile: { extensions: { properties: JsonObject }[] };
          };
        };
      };
      const { osProfile, extensionProfile } = set.properties.virtualMachineProfile;
      osProfile.adminPassword = "[parameters('adminPassword')]";
      const say = (text: string) => `'printf "%s\\n" ''', ${text}, ''';'`;
      const said = ["parameters('secret')", "parameters('protectedSecret')", "parameters('bundle').deep.list[0]"];
      const first = extensionProfile.extensions[0];
      if (first === undefined) throw new Error('The pool has no extension.');
      first.properties['settings'] = {
        note: "[parameters('bundle').inner]",
        commandToExecute: `[concat('mkdir -p /mnt/files; mount -t cifs //teamfiles.file.core.windows.net/files /mnt/files -o username=teamfiles,password=', ${listed}, '; set -x; ', ${said.map(say).join(', ')}, ' echo ', base64(parameters('secret')), ' >&2; exit ${exitCode}')]`,
      };
      first.properties['protectedSettings'] = {
        token: "[parameters('protectedSecret')]",
        storageAccountKey: `[${listed}]`,
      };
      return resources;
    }

    async function writeParameters(name: string, template: JsonObject): Promise<string> {
      const declared = Object.keys(template['parameters'] as JsonObject);
      const values = Object.fromEntries(
        Object.entries(secrets)
          .filter(([parameter]) => declared.includes(parameter))
          .map(([parameter, value]) => [parameter, { value }]),
      );
      const file = join(folder, `${name}.parameters.json`);
      await writeFile(file, JSON.stringify({ $schema: schema, contentVersion: '1.0.0.0', parameters: values }), {
        mode: 0o600,
      });
      return file;
    }
    async function deploy(
      verb: 'create' | 'validate' | 'what-if',
      name: string,
      template: JsonObject,
    ): Promise<Result> {
      const file = join(folder, `${name}.json`);
      await writeFile(file, JSON.stringify(template));
      return shown(
        ...['deployment', 'group', verb, '-g', group, '-n', name, '--template-file', file],
        ...['--parameters', `@${await writeParameters(name, template)}`, '-o', 'json'],
      );
    }

    beforeAll(async () => {
      begun = Date.now();
      folder = await mkdtemp(join(tmpdir(), 'poolhouse-secrets-'));
      files = createServer((request, response) => {
        readFile(join(folder, new URL(request.url ?? '', 'http://x').pathname.slice(1))).then(
          (text) => response.end(text),
          () => response.writeHead(404).end(),
        );
      });
      await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
      installation = await TestInstallation.make({
        poolGiB: 30,
        fetchAllow: [`127.0.0.1:${(files.address() as AddressInfo).port}`],
      });
      await installation.up();
      az = await installation.az('latest');
      eventSocket = new WebSocket(`ws+unix:${engineSocket()}:/1.0/events?all-projects=true`, {
        perMessageDeflate: false,
      });
      eventSocket.on('message', (data: Buffer) => events.push(data.toString('utf8')));
      await new Promise((resolve, reject) => eventSocket.once('open', resolve).once('error', reject));
      sampler = spawn(process.execPath, [join(import.meta.dirname, 'sample-processes.ts')]);
      const lines: Interface = createInterface({ input: sampler.stdout });
      samples = lines[Symbol.asyncIterator]();
      expect((await samples.next()).value).toBe('ready');
      for (const [name, value] of Object.entries(secrets)) if (typeof value === 'string') learn(name, value);
      learn('object', secrets.bundle.inner);
      learn('list', secrets.bundle.deep.list[0] ?? '');
    });
    afterAll(async () => {
      sampler.kill('SIGKILL');
      eventSocket.terminate();
      files.close();
      await installation.destroy();
      await rm(folder, { recursive: true, force: true });
    });

    it('are used in every way that a template has', async () => {
      await succeed(shown('group', 'create', '-n', group, '-l', 'westeurope'));
      await succeed(shown('storage', 'account', 'create', '-g', group, '-n', 'teamfiles', '-l', 'westeurope'));
      await succeed(
        shown(
          'storage',
          'share-rm',
          'create',
          '-g',
          group,
          '--storage-account',
          'teamfiles',
          '-n',
          'files',
          '--quota',
          '1',
        ),
      );
      for (const [index, key] of (await keys('list')).entries()) learn(`storage key ${index + 1}`, key);
      const inner = templateOf({
        parameters: { handed: { type: 'string' } },
        resources: [network('inner-net', { handed: "[parameters('handed')]" })],
        outputs: { again: { type: 'string', value: "[concat('<', parameters('handed'), '>')]" } },
      });
      const outer = templateOf({ resources: [network('outer-net', { handed: "[parameters('secret')]" })] });
      const main = templateOf({
        parameters: {
          ...parameters,
          open: { type: 'string', defaultValue: "[concat('open ', parameters('secret'))]" },
        },
        resources: [
          ...loudPool('quiet', 0),
          nested('inner', 'inner', inner, { handed: { value: "[parameters('bundle').inner]" } }),
          nested('outer', 'outer', outer, {}),
          {
            ...network('after-net', { handed: "[reference('inner').outputs.again.value]" }),
            dependsOn: ['inner'],
          },
        ],
        outputs: {
          secure: { type: 'securestring', value: "[parameters('secret')]" },
          careless: { type: 'string', value: "[parameters('secret')]" },
          key: { type: 'string', value: `[${listed}]` },
          encoded: { type: 'string', value: "[base64(concat('user:', parameters('secret')))]" },
          bundle: { type: 'object', value: "[parameters('bundle')]" },
          handed: { type: 'string', value: "[reference('inner').outputs.again.value]" },
        },
      });
      await writeFile(join(folder, 'main.json'), JSON.stringify(main));
      const uri = `http://127.0.0.1:${(files.address() as AddressInfo).port}/main.json?sig=${encodeURIComponent(secrets.signature)}`;
      // By a file: what stands in az's own command line is the caller's affair.
      const arm = await installation.arm();
      const properties: JsonObject = {
        mode: 'Incremental',
        templateLink: { uri },
        parameters:
          (JSON.parse(await readFile(await writeParameters('main', main), 'utf8')) as JsonObject)['parameters'] ?? {},
      };
      const path = `/subscriptions/${arm.subscriptionId}/resourcegroups/${group}/providers/Microsoft.Resources/deployments/main`;
      await arm.send('PUT', path, { properties });
      const ended = await until('the deployment ends', async () => {
        const { body } = await arm.send('GET', path);
        const { provisioningState } = body['properties'] as { provisioningState: string };
        return ['Succeeded', 'Failed'].includes(provisioningState) ? body : undefined;
      });
      expect(ended).toMatchObject({ properties: { provisioningState: 'Succeeded' } });
      // It was no deployment of placeholders: what one deployment hands to another is what it was.
      await succeed(deploy('create', 'again', { ...main, resources: loudPool('quiet', 0), outputs: {} }));
      expect((await ssh(secrets.adminPassword, poolUser, await addressOf('quiet'), 'id -un')).stdout).toBe(
        `${poolUser}\n`,
      );
    });

    const addressOf = async (name: string) => (await installation.pool(name)).instances[0]?.address ?? '';

    it('are in values that are wrong, in scripts that fail, and in keys that are made anew', async () => {
      const wrong: Record<string, JsonObject> = {
        'no number': { resources: [network('n', { a: "[string(int(parameters('secret')))]" })] },
        'no such function result': { resources: [network('n', { a: "[createObject('a', 1)[parameters('secret')]]" })] },
        'not allowed': { parameters: { secret: { type: 'securestring', allowedValues: ['one', 'two'] } } },
        'too short': { parameters: { secret: { type: 'securestring', minLength: 100 } } },
        'another type': { parameters: { secret: { type: 'int' } } },
        'no size': {
          resources: poolResources({ name: 'wrong' }).map((resource) =>
            'sku' in resource ? { ...resource, sku: { name: "[parameters('secret')]", capacity: 1 } } : resource,
          ),
        },
        'no name': { resources: [network("[parameters('secret')]", {})] },
        'no name in a nested one': {
          resources: [
            nested(
              'wrong-inner',
              'inner',
              templateOf({ parameters: { p: { type: 'string' } }, resources: [network("[parameters('p')]", {})] }),
              { p: { value: "[parameters('secret')]" } },
            ),
          ],
        },
        'no number in an output': { outputs: { a: { type: 'int', value: "[int(parameters('secret'))]" } } },
        'no number of a key': { outputs: { a: { type: 'int', value: `[int(${listed})]` } } },
      };
      const arm = await installation.arm();
      for (const [index, [what, parts]] of Object.entries(wrong).entries()) {
        const template = templateOf({ parameters: { secret: parameters['secret'] ?? {} }, ...parts });
        // az is asked once for each of its ways; it takes a second each time.
        if (index < 2)
          expect((await deploy(index === 0 ? 'create' : 'validate', `wrong${index}`, template)).exitCode).toBe(1);
        const path = `/subscriptions/${arm.subscriptionId}/resourcegroups/${group}/providers/Microsoft.Resources/deployments/bad${index}`;
        const body = {
          properties: { mode: 'Incremental', template, parameters: { secret: { value: secrets.secret } } },
        };
        const refused = await arm.send('PUT', path, body).then(
          async () => {
            const document = await until(`${what} has ended`, async () => {
              const { body: now } = await arm.send('GET', path);
              const { provisioningState } = now['properties'] as { provisioningState: string };
              return ['Succeeded', 'Failed'].includes(provisioningState) ? now : undefined;
            });
            expect(document).toMatchObject({ properties: { provisioningState: 'Failed' } });
            return JSON.stringify(document);
          },
          (error: unknown) => JSON.stringify(error) + String(error),
        );
        printed.push(`${what}\n${refused}`);
      }
      await deploy(
        'what-if',
        'whatif',
        templateOf({ parameters, resources: [network('n', { a: "[parameters('secret')]" })] }),
      );
      const failed = await deploy('create', 'loud', templateOf({ parameters, resources: loudPool('loud', 3) }));
      expect(failed).toMatchObject({ exitCode: 1 });
      expect(failed.stderr).toMatch(/exit status=3/);
      for (const [index, key] of (await keys('renew', '--key', 'primary')).entries())
        learn(`storage key ${index + 3}`, key);
    });

    /** What the installation itself keeps sealed, opened as its owner can. */
    async function learnOwn(): Promise<void> {
      const home = homeAt(installation.home);
      const masterKey = await readFile(home.masterKey);
      learn('master key', masterKey);
      const store = await openStore(home.store);
      const { keyring } = await openKeyring(store, [masterKey], Date.now());
      learn('sealing key', keyring.current.key);
      learn('digest key', keyring.digestKey);
      for (const [index, key] of keyring.tokenKeys.entries()) learn(`token key ${index}`, key);
      const rows = await store.db.selectFrom('secrets').selectAll().execute();
      for (const row of rows) {
        const value = unsealUnder(keyring, row.sealed);
        // A private key is found by any line of it; the inputs of deployments are made of the other secrets.
        if (value.includes('PRIVATE KEY')) learn(row.ref, value.split('\n')[1] ?? value);
        else if (!value.startsWith('{')) learn(`${row.ref} of ${row.owner_key}`, value);
      }
      expect(rows.map((row) => row.ref)).toEqual(expect.arrayContaining(['ca.key', 'server.key', 'client-secret']));
      await store.close();
      expect(known.size).toBeGreaterThan(15);
    }

    it('are in no process list', async () => {
      await learnOwn();
      // The look sees what is there for a moment only: a secret in an argument, and one in an environment.
      const [argument, variable] = [randomBytes(12).toString('hex'), randomBytes(12).toString('hex')];
      await run('sh', ['-c', 'sleep 0.2; exit 0', argument], { env: { PATH: process.env['PATH'], CANARY: variable } });
      sampler.stdin.end();
      const { rounds, texts } = JSON.parse(String((await samples.next()).value)) as { rounds: number; texts: string[] };
      expect(rounds).toBeGreaterThan(100);
      const seen = Buffer.from(texts.join('\n'), 'latin1');
      expect(seen.includes(argument) && seen.includes(variable)).toBe(true);
      expect(
        texts
          // The test's own client is told its password so.
          .filter((text) => !text.includes('SSHPASS='))
          .filter((text) => foundIn(Buffer.from(text, 'latin1'), known).length > 0)
          .map((text) => text.replaceAll('\0', ' ')),
      ).toEqual([]);
    });

    it('are in nothing that az printed', () => {
      expect(printed.filter((text) => foundIn(Buffer.from(text), known).length > 0)).toEqual([]);
    });

    /** Files below a folder, without those that are left out, and only what changed since the test began where asked. */
    async function filesBelow(top: string, leaveOut: (path: string) => boolean, since = 0): Promise<string[]> {
      const result: string[] = [];
      for (const entry of await readdir(top, { withFileTypes: true }).catch(() => [])) {
        const path = join(top, entry.name);
        if (leaveOut(path)) continue;
        if (entry.isDirectory()) result.push(...(await filesBelow(path, leaveOut, since)));
        else if (entry.isFile()) {
          const found = await stat(path).catch(() => undefined);
          if (found !== undefined && found.mtimeMs >= since && found.size < 64 * 2 ** 20) result.push(path);
        }
      }
      return result;
    }
    async function search(paths: readonly string[]): Promise<string[]> {
      const hits: string[] = [];
      for (const path of paths) {
        const text = await readFile(path).catch(() => Buffer.alloc(0));
        for (const name of foundIn(text, known)) hits.push(`${name} in ${path}`);
      }
      return hits;
    }

    it('are in no file of ours, of the engine or of this host, but where they belong', async () => {
      const { home } = installation;
      const own = await filesBelow(
        home,
        // az keeps what it signed in with; the master key is what all else is sealed with. Images are older than all of it.
        (path) => [join(home, 'az'), homeAt(home).masterKey, join(home, 'images')].includes(path),
      );
      for (const name of [
        'store.sqlite',
        'store.sqlite-wal',
        'logs/control.log',
        'logs/gateway.log',
        'installation.json',
      ])
        expect(own).toContain(join(home, name));
      const id = (await installation.id()) ?? '';
      // The gateway begins without control, and signs people in then: in memory, for itself alone.
      const directory = `/run/poolhouse-${id}/gateway/directory.json`;
      expect((await stat(directory)).mode & 0o777).toBe(0o600);
      const running = await filesBelow(`/run/poolhouse-${id}`, (path) => path === directory);
      const others = (
        await Promise.all([
          ...engineFolders.flatMap((name) => [
            filesBelow(`/var/log/${name}`, () => false, begun),
            filesBelow(`/var/lib/${name}/database`, () => false, begun),
            filesBelow(`/var/lib/${name}/devices`, () => false, begun),
          ]),
          filesBelow('/var/log', (path) => engineFolders.some((name) => path === `/var/log/${name}`), begun),
          // The test's own parameter files are where az reads them.
          filesBelow(
            tmpdir(),
            (path) => path.startsWith(folder) || path.startsWith(join(tmpdir(), 'poolhouse-')),
            begun,
          ),
          filesBelow('/dev/shm', () => false, begun),
        ])
      ).flat();
      expect(await search([...own, ...running, ...others])).toEqual([]);
    });

    it('are in no document, operation or event of the engine', async () => {
      const project = `poolhouse-${(await installation.id()) ?? ''}`;
      const asked = ['instances', 'operations', 'images', 'profiles', 'networks', 'storage-pools'].map(
        (what) => `/1.0/${what}?recursion=2&project=${project}`,
      );
      const answers = await Promise.all(
        [
          ...asked,
          `/1.0/projects/${project}`,
          `/1.0/storage-pools/${project}-shares/volumes?recursion=1&project=${project}`,
        ].map(engine),
      );
      expect(answers.join('')).toContain('quiet-');
      expect(events.length).toBeGreaterThan(10);
      expect(events.join('')).toContain(project);
      expect(foundIn(Buffer.from([...answers, ...events].join('\n')), known)).toEqual([]);
    });

    it('are nowhere inside the instances', async () => {
      // A line of its own for each form; what has a line end in it is looked for elsewhere.
      const patterns = [...known.values()]
        .flat()
        .filter((form) => !form.includes('\n') && form.every((byte) => byte >= 0x20 && byte < 0x7f))
        .map((form) => form.toString('latin1'));
      const planted = randomBytes(12).toString('hex');
      for (const name of ['quiet', 'loud']) {
        const inside = async (command: string, input = '') =>
          ssh(secrets.adminPassword, poolUser, await addressOf(name), command, [], input);
        await inside(`sudo tee /var/tmp/planted > /dev/null`, planted);
        const places = '/dev/shm /etc /home /mnt /opt /root /run /srv /tmp /usr/local /var';
        const hits = await inside(
          `sudo LC_ALL=C grep -rlaF -f - ${places} 2>/dev/null`,
          [...patterns, planted].join('\n'),
        );
        expect(hits.stdout.trim().split('\n')).toEqual(['/var/tmp/planted']);
        const told = await inside(
          `sudo sh -c 'journalctl --no-pager -o export; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ' 2>/dev/null`,
        );
        expect(told.stdout.length).toBeGreaterThan(1_000);
        expect(foundIn(Buffer.from(told.stdout, 'latin1'), known)).toEqual([]);
        expect((await inside('ls -A /var/lib/waagent/custom-script/download/0')).stdout).toBe('');
      }
    });

    it('are in no answer to any GET, and in no export', async () => {
      const arm = await installation.arm();
      const top = `/subscriptions/${arm.subscriptionId}`;
      const answers = new Map<string, string>();
      const ask = async (method: 'GET' | 'POST', path: string): Promise<void> => {
        if (answers.has(`${method} ${path}`)) return;
        answers.set(`${method} ${path}`, '');
        const body = await arm.send(method, path, ...(method === 'POST' ? [{}] : [])).then(
          (answer): Json => answer.body,
          (error: unknown) => ({ error: String(error) }),
        );
        answers.set(`${method} ${path}`, JSON.stringify(body));
        for (const id of idsIn(body)) await walk(id);
      };
      /** Every resource by its id, what there is below it, and every view of it. */
      const walk = async (id: string): Promise<void> => {
        await ask('GET', id);
        await ask('GET', `${id}?$expand=instanceView`);
        const below: [RegExp, string[]][] = [
          [/\/virtualMachineScaleSets\/[^/]+$/i, ['virtualMachines', 'extensions', 'instanceView', 'skus']],
          [/\/virtualMachines\/\d+$/i, ['instanceView']],
          [/\/storageAccounts\/[^/]+$/i, ['fileServices', 'fileServices/default/shares']],
          [/\/deployments\/[^/]+$/i, ['operations']],
          [/\/resourceGroups\/[^/]+$/i, ['resources', 'providers/Microsoft.Resources/deployments']],
        ];
        for (const [kind, parts] of below)
          if (kind.test(id)) for (const part of parts) await ask('GET', `${id}/${part}`);
        if (/\/deployments\/[^/]+$/i.test(id)) await ask('POST', `${id}/exportTemplate`);
        if (/\/resourceGroups\/[^/]+$/i.test(id)) await ask('POST', `${id}/exportTemplate`);
      };
      for (const path of [
        '/subscriptions',
        '/tenants',
        top,
        `${top}/resources`,
        `${top}/resourcegroups`,
        `${top}/providers`,
      ])
        await ask('GET', path);
      const database = new DatabaseSync(homeAt(installation.home).store, { readOnly: true });
      const operations = database
        .prepare('SELECT id FROM operations')
        .all()
        .map((row) => String(row['id']));
      database.close();
      expect(operations.length).toBeGreaterThan(5);
      for (const id of operations)
        for (const kind of ['operations', 'operationresults'])
          await ask('GET', `${top}/providers/Microsoft.Resources/${kind}/${id}`);

      const asked = [...answers.keys()];
      for (const needed of [
        /\/virtualMachineScaleSets\/quiet$/i,
        /\/virtualMachines\/0\?\$expand=instanceView$/,
        /\/deployments\/main$/i,
        /\/deployments\/outer\/exportTemplate$/i,
        /\/deployments\/loud\/operations\/[^/]+$/i,
      ])
        expect(asked.filter((path) => needed.test(path))).not.toEqual([]);
      expect([...answers].filter(([, text]) => foundIn(Buffer.from(text), known).length > 0)).toEqual([]);
    });

    function idsIn(value: Json): string[] {
      if (typeof value === 'string')
        return /^\/subscriptions\/[^/]+\/resource[gG]roups\/[^?#]+$/.test(value) ? [value] : [];
      if (Array.isArray(value)) return value.flatMap(idsIn);
      return typeof value === 'object' && value !== null ? Object.values(value).flatMap(idsIn) : [];
    }

    it('are in nothing that the command line or a process tells of itself', async () => {
      const id = (await installation.id()) ?? '';
      const admin = (path: string) =>
        must('curl', ['-s', '--unix-socket', `/run/poolhouse-${id}/admin.sock`, `http://admin${path}`]);
      const { monitors } = await installation.ports();
      const told = await Promise.all([
        installation.mustPoolhouse('status'),
        installation.mustPoolhouse('status', '--json'),
        installation.mustPoolhouse('logs'),
        admin('/v1/health'),
        admin('/v1/status'),
        ...monitors.flatMap((port) =>
          ['metrics', 'healthz'].map((path) => must('curl', ['-s', `http://127.0.0.1:${port}/${path}`])),
        ),
      ]);
      expect(told.join('').length).toBeGreaterThan(1_000);
      expect(foundIn(Buffer.from(told.join('\n')), known)).toEqual([]);
    });

    it('are left behind by no crash', async () => {
      const { control, gateway } = await installation.status();
      for (const pid of [control.pid, gateway.pid]) {
        expect(await readFile(`/proc/${String(pid)}/limits`, 'utf8')).toMatch(/^Max core file size +1 +1 +bytes/m);
        const argv = (await readFile(`/proc/${String(pid)}/cmdline`, 'utf8')).split('\0');
        expect(argv).toContain('--disable-sigusr1');
        expect(argv.filter((word) => /report|snapshot|abort|inspect/.test(word))).toEqual([]);
        expect(await readFile(`/proc/${String(pid)}/environ`, 'utf8')).not.toMatch(/NODE_OPTIONS/);
      }
      const cores = async () =>
        (await Promise.all(['/', installation.home, tmpdir()].map((one) => readdir(one))))
          .flat()
          .filter((name) => /^core|heapsnapshot$|^report\..*json$/.test(name));
      const before = await cores();
      process.kill(control.pid, 'SIGSEGV');
      await until('control is back', async () => {
        const status = await installation.status().catch(() => undefined);
        return status !== undefined && status.control.pid !== control.pid ? true : undefined;
      });
      expect(await cores()).toEqual(before);
    });
  },
);
