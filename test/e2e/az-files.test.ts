/** Azure Files' REST interface with the real az, and by hand: needs no engine and no root, only python3 (and az). */
import { createHmac } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { workerMissing } from '../../src/files/test-worker.ts';
import { account, prepareFiles, type FilesGround } from './files-ground.ts';
import { must, run } from './installation.ts';

const hasAz = (await run('sh', ['-c', 'command -v az'])).exitCode === 0;
const missing = workerMissing ?? (hasAz ? undefined : `'az' is not installed`);

describe.skipIf(missing !== undefined)(`files by az${missing === undefined ? '' : ` (left out: ${missing})`}`, () => {
  let ground: FilesGround;
  let folder: string;
  let environment: NodeJS.ProcessEnv;
  const azText = (...argv: string[]) => must('az', [...argv, '-o', 'json'], { env: environment, timeoutMs: 120_000 });
  const az = async (...argv: string[]): Promise<unknown> => {
    const text = await azText('storage', ...argv);
    return text.trim() === '' ? null : (JSON.parse(text) as unknown);
  };
  const refused = async (...argv: string[]) => {
    const result = await run('az', ['storage', ...argv], { env: environment, timeoutMs: 120_000 });
    expect(result.exitCode, result.stdout).not.toBe(0);
    return result.stderr;
  };

  beforeAll(async () => {
    ground = await prepareFiles();
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-az-'));
    environment = {
      ...process.env,
      AZURE_CONFIG_DIR: join(folder, 'azure'),
      AZURE_CORE_COLLECT_TELEMETRY: 'false',
      AZURE_STORAGE_CONNECTION_STRING: ground.connectionString,
      REQUESTS_CA_BUNDLE: ground.caFile,
      NO_PROXY: '127.0.0.1',
    };
  });
  afterAll(async () => {
    await ground.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('makes, shows, lists, keeps and deletes shares', async () => {
    expect(await az('share', 'create', '-n', 'first', '--quota', '7', '--metadata', 'team=data')).toEqual({ created: true }); // prettier-ignore
    expect(await az('share', 'create', '-n', 'first')).toEqual({ created: false });
    expect(await az('share', 'exists', '-n', 'first')).toEqual({ exists: true });
    expect(await az('share', 'show', '-n', 'first')).toMatchObject({ name: 'first', properties: { quota: 7 }, metadata: { team: 'data' } }); // prettier-ignore
    await az('share', 'update', '-n', 'first', '--quota', '9');
    expect(await az('share', 'list')).toMatchObject([{ name: 'first', quota: 9 }]);
    expect(await az('share', 'stats', '-n', 'first')).toMatch(/^\d+$/);
    await az('share', 'delete', '-n', 'first');
    expect(await az('share', 'exists', '-n', 'first')).toEqual({ exists: false });
  });

  it('makes folders and files, brings them up and down, and deletes them', async () => {
    await signed('PUT', `/${account}/files?restype=share`);
    expect(await az('directory', 'create', '-s', 'files', '-n', 'data')).toEqual({ created: true });
    const big = join(folder, 'big file.bin');
    await writeFile(big, Buffer.alloc(9 * 2 ** 20, 'abcdefg'));
    await az('file', 'upload', '-s', 'files', '--source', big, '-p', 'data/big file.bin', '--metadata', 'made=here', '--content-type', 'application/x-big'); // prettier-ignore
    expect((await readFile(join(ground.folderOf('files'), 'data/big file.bin'))).equals(await readFile(big))).toBe(
      true,
    );
    expect(await az('file', 'show', '-s', 'files', '-p', 'data/big file.bin')).toMatchObject({ properties: { contentLength: 9 * 2 ** 20, contentSettings: { contentType: 'application/x-big' } }, metadata: { made: 'here' } }); // prettier-ignore
    await az('file', 'download', '-s', 'files', '-p', 'data/big file.bin', '--dest', join(folder, 'back.bin'));
    expect((await readFile(join(folder, 'back.bin'))).equals(await readFile(big))).toBe(true);
    await az('file', 'metadata', 'update', '-s', 'files', '-p', 'data/big file.bin', '--metadata', 'other=1');
    expect(await az('file', 'metadata', 'show', '-s', 'files', '-p', 'data/big file.bin')).toEqual({ other: '1' });
    await az('file', 'resize', '-s', 'files', '-p', 'data/big file.bin', '--size', '10');
    expect(await readFile(join(ground.folderOf('files'), 'data/big file.bin'), 'utf8')).toBe('abcdefgabc');
    const source = `${ground.url}${account}/files/data/big%20file.bin`;
    await az('directory', 'create', '-s', 'files', '-n', 'data/inner');
    expect(await az('directory', 'list', '-s', 'files', '-n', 'data')).toMatchObject([{ name: 'inner' }]);
    expect(await az('file', 'copy', 'start', '-s', 'files', '-p', 'copied', '--source-uri', source)).toMatchObject({ status: 'success' }); // prettier-ignore
    expect(await readFile(join(ground.folderOf('files'), 'copied'), 'utf8')).toBe('abcdefgabc');
    expect(JSON.stringify(await az('file', 'url', '-s', 'files', '-p', 'copied'))).toContain(`${ground.url}${account}/files/copied`); // prettier-ignore
    expect(await refused('directory', 'delete', '-s', 'files', '-n', 'data')).toContain('DirectoryNotEmpty');
    await az('file', 'delete', '-s', 'files', '-p', 'data/big file.bin');
    expect(await az('file', 'exists', '-s', 'files', '-p', 'data/big file.bin')).toEqual({ exists: false });
    expect(await refused('file', 'upload', '-s', 'files', '--source', big, '-p', 'no/such')).toContain(
      'ParentNotFound',
    );
  });

  it('brings whole folders up and down, and shows what instances have made', async () => {
    await signed('PUT', `/${account}/batch?restype=share`);
    const local = join(folder, 'tree');
    for (const name of ['a.txt', 'in/b.txt', 'in/deep/c ä.txt', 'empty']) {
      await mkdir(join(local, name, '..'), { recursive: true });
      await writeFile(join(local, name), name === 'empty' ? '' : `this is ${name}`);
    }
    await az('file', 'upload-batch', '-d', 'batch', '-s', local);
    await symlink('/etc/passwd', join(ground.folderOf('batch'), 'link'));
    await writeFile(join(ground.folderOf('batch'), 'in/made:there'), 'x');
    const listed = await az('file', 'list', '-s', 'batch');
    expect(listed).toMatchObject([{ name: 'in', type: 'dir' }, { name: 'a.txt' }, { name: 'empty' }]);
    const back = join(folder, 'back');
    await mkdir(back);
    await az('file', 'download-batch', '-s', 'batch', '-d', back);
    for (const name of ['a.txt', 'in/b.txt', 'in/deep/c ä.txt', 'empty'])
      expect(await readFile(join(back, name), 'utf8')).toBe(await readFile(join(local, name), 'utf8'));
    expect(await readFile(join(back, 'in/made:there'), 'utf8')).toBe('x');
    expect(existsSync(join(back, 'link'))).toBe(false);
    await az('file', 'delete-batch', '-s', 'batch', '--pattern', '*.txt');
    expect(existsSync(join(ground.folderOf('batch'), 'a.txt'))).toBe(false);
  });

  it('takes snapshots, and reads from them', async () => {
    await signed('PUT', `/${account}/kept?restype=share`);
    await writeFile(join(ground.folderOf('kept'), 'a'), 'then');
    const { snapshot } = (await az('share', 'snapshot', '-n', 'kept')) as { snapshot: string };
    await writeFile(join(ground.folderOf('kept'), 'a'), 'now');
    await az('file', 'download', '-s', 'kept', '-p', 'a', '--snapshot', snapshot, '--dest', join(folder, 'then'));
    expect(await readFile(join(folder, 'then'), 'utf8')).toBe('then');
    expect(await az('share', 'list', '--include-snapshots', '--prefix', 'kept')).toHaveLength(2);
    expect(await refused('share', 'delete', '-n', 'kept')).toContain('ShareHasSnapshots');
    await az('share', 'delete', '-n', 'kept', '--snapshot', snapshot);
    await az('share', 'delete', '-n', 'kept');
  });

  it('lets in who has a signature, for what it allows', async () => {
    await signed('PUT', `/${account}/signed?restype=share`);
    await writeFile(join(ground.folderOf('signed'), 'a.txt'), 'signed');
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString().replace(/\.\d+Z/, 'Z');
    const plain = { ...environment };
    delete environment['AZURE_STORAGE_CONNECTION_STRING'];
    const withKey = ['--account-name', account, '--account-key', ground.keys[1] ?? '', '--expiry', tomorrow];
    try {
      const [ofFile, ofShare, ofAccount] = [
        await az('file', 'generate-sas', '-s', 'signed', '-p', 'a.txt', '--permissions', 'r', ...withKey),
        await az('share', 'generate-sas', '-n', 'signed', '--permissions', 'rl', ...withKey),
        await az('account', 'generate-sas', '--services', 'f', '--resource-types', 'sco', '--permissions', 'rwdlc', ...withKey), // prettier-ignore
      ] as string[];
      const get = (path: string, sas = '') => call('GET', `/${account}/${path}${path.includes('?') ? '&' : '?'}${sas}`);
      expect(await get('signed/a.txt', ofFile)).toMatchObject({ status: 200, text: 'signed' });
      expect(await get('signed/other', ofFile)).toMatchObject({ status: 403 });
      expect(await get('signed?restype=directory&comp=list', ofFile)).toMatchObject({ status: 403 });
      expect((await get('signed?restype=directory&comp=list', ofShare)).text).toContain('<Name>a.txt</Name>');
      expect(await call('DELETE', `/${account}/signed/a.txt?${ofShare ?? ''}`)).toMatchObject({ status: 403 });
      environment['AZURE_STORAGE_CONNECTION_STRING'] = `FileEndpoint=${ground.url}${account}/;SharedAccessSignature=${ofAccount ?? ''}`; // prettier-ignore
      expect(await az('file', 'list', '-s', 'signed')).toMatchObject([{ name: 'a.txt' }]);
      await az('file', 'delete', '-s', 'signed', '-p', 'a.txt');
      environment['AZURE_STORAGE_CONNECTION_STRING'] = ground.connectionString.replace(/AccountKey=[^;]+/, `AccountKey=${'A'.repeat(86)}==`); // prettier-ignore
      expect(await refused('file', 'list', '-s', 'signed')).toContain('authenticat');
    } finally {
      environment = plain;
    }
  });

  interface Answer {
    status: number;
    text: string;
    headers: Record<string, string | string[] | undefined>;
  }
  function call(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: Uint8Array,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(`${ground.url.slice(0, -1)}${path}`, { method, ca: ground.ca, headers }, (incoming) => {
        let text = '';
        incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        incoming.on('end', () => {
          resolve({ status: incoming.statusCode ?? 0, text, headers: incoming.headers });
        });
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }
  /** Signed as Azure's documents say, written down here once more. */
  function signed(method: string, path: string, more: Record<string, string> = {}, body?: Uint8Array): Promise<Answer> {
    const headers: Record<string, string> = { 'x-ms-date': new Date().toUTCString(), 'x-ms-version': '2021-06-08', ...more }; // prettier-ignore
    if (body !== undefined) headers['content-length'] = String(body.length);
    const [pathname = '', search = ''] = path.split('?');
    const query = search === '' ? [] : search.split('&').map((part) => part.split('=').map(decodeURIComponent)).toSorted((one, other) => ((one[0] ?? '') < (other[0] ?? '') ? -1 : 1)); // prettier-ignore
    const ours = Object.keys(headers)
      .filter((name) => name.startsWith('x-ms-'))
      .toSorted();
    const text = [
      ...[
        method,
        '',
        '',
        body === undefined || body.length === 0 ? '' : String(body.length),
        headers['content-md5'] ?? '',
      ],
      ...['', '', '', '', '', '', headers['range'] ?? ''],
      ...ours.map((name) => `${name}:${headers[name] ?? ''}`),
      `/${account}${pathname}${query.map(([name, value]) => `\n${name ?? ''}:${value ?? ''}`).join('')}`,
    ].join('\n');
    const signature = createHmac('sha256', Buffer.from(ground.keys[0] ?? '', 'base64'))
      .update(text)
      .digest('base64');
    return call(method, path, { ...headers, authorization: `SharedKey ${account}:${signature}` }, body);
  }

  it('answers what is wrong in Azure’s words, and goes on', async () => {
    await signed('PUT', `/${account}/wrong?restype=share`);
    const at = `/${account}/wrong`;
    const size = { 'x-ms-type': 'file', 'x-ms-content-length': '10' };
    const range = (more: Record<string, string>) => ({ 'x-ms-write': 'update', 'x-ms-range': 'bytes=0-3', ...more });
    expect(await signed('PUT', `${at}/f`, size)).toMatchObject({ status: 201 });
    const cases: [Promise<Answer>, number, string][] = [
      [call('GET', `${at}/f`), 403, 'AuthenticationFailed'],
      [call('GET', `${at}/f`, { authorization: 'Bearer x' }), 403, 'AuthenticationFailed'],
      [signed('GET', `${at}/f`, { 'x-ms-date': 'Thu, 01 Jan 2015 00:00:00 GMT' }), 403, 'AuthenticationFailed'],
      [signed('GET', '/nobody12/share/f'), 403, 'AuthenticationFailed'],
      [signed('GET', `/${account}/nothing/f`), 404, 'ShareNotFound'],
      [signed('GET', `${at}/nothing`), 404, 'ResourceNotFound'],
      [signed('GET', `${at}/f?sharesnapshot=2026-01-01T00:00:00.0000000Z`), 404, 'ShareSnapshotNotFound'],
      [signed('GET', `${at}/f`, { 'x-ms-range': 'bytes=10-' }), 416, 'InvalidRange'],
      [signed('GET', `${at}/f`, { 'x-ms-range': 'lines=1-2' }), 400, 'InvalidHeaderValue'],
      [signed('PUT', `${at}/a%3Ab`, size), 400, 'InvalidResourceName'],
      [signed('PUT', `${at}/.snapshots?restype=directory`), 409, 'OperationNotAllowedOnShareSnapshot'],
      [signed('PUT', `${at}/f?comp=range`, range({}), Buffer.from('abc')), 400, 'InvalidInput'],
      [signed('PUT', `${at}/f?comp=range`, range({ 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' }), Buffer.from('abcd')), 400, 'Md5Mismatch'], // prettier-ignore
      [signed('PUT', `${at}/f?comp=range`, range({ 'x-ms-range': 'bytes=8-11' }), Buffer.from('abcd')), 416, 'InvalidRange'], // prettier-ignore
      [signed('PUT', `${at}/f?comp=range`, range({ 'x-ms-range': 'bytes=0-4194304' }), Buffer.alloc(4_194_305)), 416, 'InvalidRange'], // prettier-ignore
      [signed('PUT', `${at}/f?comp=lease`), 400, 'FeatureNotSupported'],
      [signed('PUT', `${at}/c`, { 'x-ms-copy-source': 'https://127.0.0.1:1/teamfiles/wrong/f' }), 404, 'CannotVerifyCopySource'], // prettier-ignore
      [signed('GET', `${at}?restype=directory&comp=list&marker=nonsense`), 400, 'InvalidQueryParameterValue'],
      [signed('GET', `${at}/f?comp=everything`), 400, 'UnsupportedQueryParameter'],
      [signed('PATCH', `${at}/f`), 405, 'UnsupportedHttpVerb'],
      [signed('GET', `/${account}/UPPER/f`), 400, 'InvalidResourceName'],
      [signed('GET', `${at}/%2e%2e/f`), 400, 'InvalidResourceName'],
      [signed('GET', `${at}/%ff`), 400, 'InvalidUri'],
      [signed('GET', '/'), 400, 'InvalidUri'],
    ];
    for (const [answer, status, code] of cases) {
      const { text, headers, ...found } = await answer;
      expect([found.status, headers['x-ms-error-code']], text).toEqual([status, code]);
      expect(text).toContain(`<Code>${code}</Code>`);
      expect(text).not.toMatch(/\.ts:\d|node:/);
    }
    const head = await signed('HEAD', `${at}/nothing`);
    expect([head.status, head.headers['x-ms-error-code'], head.text]).toEqual([404, 'ResourceNotFound', '']);
  });

  it('renames, reads ranges, and clears them', async () => {
    await signed('PUT', `/${account}/more?restype=share`);
    const at = `/${account}/more`;
    await writeFile(join(ground.folderOf('more'), 'f'), 'abcdefghij');
    const part = await signed('GET', `${at}/f`, { range: 'bytes=2-4', 'x-ms-range-get-content-md5': 'true' });
    expect(part).toMatchObject({ status: 206, text: 'cde', headers: { 'content-range': 'bytes 2-4/10', 'content-md5': 'olbmszav3DjFZHicOZtRbA==' } }); // prettier-ignore
    expect(await signed('PUT', `${at}/f?comp=range`, { 'x-ms-write': 'clear', 'x-ms-range': 'bytes=0-3' })).toMatchObject({ status: 201 }); // prettier-ignore
    expect(await readFile(join(ground.folderOf('more'), 'f'), 'utf8')).toBe('\0\0\0\0efghij');
    const from = { 'x-ms-file-rename-source': `${ground.url}${account}/more/f` };
    expect(await signed('PUT', `${at}/g?comp=rename`, from)).toMatchObject({ status: 200 });
    expect(await signed('GET', `${at}/g`)).toMatchObject({ status: 200, text: '\0\0\0\0efghij' });
    expect((await signed('GET', `${at}/g?comp=rangelist`)).text).toContain(
      '<Range><Start>0</Start><End>9</End></Range>',
    );
    for (const name of ['x1', 'x2', 'x3']) await writeFile(join(ground.folderOf('more'), name), '');
    const first = (await signed('GET', `${at}?restype=directory&comp=list&prefix=x&maxresults=2`)).text;
    expect([...first.matchAll(/<Name>(.*?)<\/Name>/g)].map(([, name]) => name)).toEqual(['x1', 'x2']);
    const [, marker = ''] = /<NextMarker>(.*?)<\/NextMarker>/.exec(first) ?? [];
    expect((await signed('GET', `${at}?restype=directory&comp=list&prefix=x&marker=${marker}`)).text).toContain('<Name>x3</Name>'); // prettier-ignore
  });
});
