/**
 * A picture of the machine, in sections of lines, to tell what a program has changed: engine, kernel, accounts, files.
 * What belongs to an installation of Poolhouse that is not asked about is left out, so that another test may be at work.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createRestClient, isMissing, unless, type RestClient } from '../../src/engines/incus/rest-client.ts';
import { must, run } from './installation.ts';

export type Picture = Readonly<Record<string, readonly string[]>>;

const signal = AbortSignal.timeout(30 * 60_000);
export const engineSocket = () =>
  ['/var/lib/incus/unix.socket', '/var/lib/lxd/unix.socket'].find((path) => existsSync(path)) ?? '';

/** What the engine holds, one line a document. Empty where no daemon answers. */
export async function pictureOfEngine(socketPath = engineSocket()): Promise<string[]> {
  const client = createRestClient(socketPath);
  try {
    const list = async (path: string): Promise<unknown[]> => {
      // Another test's project may go while it is looked at.
      const found = (await unless(isMissing, () => client.get(path, signal))) ?? [];
      return Array.isArray(found) ? (found as unknown[]) : [found];
    };
    const projects = (await list('/1.0/projects?recursion=1')) as { name: string }[]; // the daemon's own shape
    const lines: string[] = [];
    const add = async (what: string, path: string) => {
      for (const document of await list(path)) lines.push(`${what} ${JSON.stringify(document)}`);
    };
    const { config } = (await client.get('/1.0', signal)) as { config: object };
    lines.push(`config ${JSON.stringify(config)}`);
    await add('certificate', '/1.0/certificates?recursion=1');
    await add('network', '/1.0/networks?recursion=1');
    // Whose images a pool holds is told by the images: one of the same content in two projects counts for both.
    for (const { used_by: _, ...pool } of (await list('/1.0/storage-pools?recursion=1')) as { used_by?: unknown }[])
      lines.push(`pool ${JSON.stringify(pool)}`);
    for (const { name } of projects) {
      lines.push(`project ${name}`);
      for (const what of ['instances', 'images', 'profiles'])
        await add(`${name} ${what}`, `/1.0/${what}?recursion=1&project=${name}`);
      await addVolumes(client, name, lines);
    }
    return lines;
  } finally {
    client.close();
  }
}

async function addVolumes(client: RestClient, project: string, lines: string[]): Promise<void> {
  for (const path of (await client.get('/1.0/storage-pools', signal)) as string[]) {
    const volumes = await unless(isMissing, () => client.get(`${path}/volumes?recursion=1&project=${project}`, signal));
    // Copies of images are shown for every project that has the image, whoever's pool they lie in.
    for (const volume of (volumes ?? []) as { type: string }[])
      if (volume.type !== 'image') lines.push(`${project} volume ${JSON.stringify(volume)}`);
  }
}

export async function takePicture(): Promise<Picture> {
  return {
    engine: engineSocket() === '' ? [] : await pictureOfEngine().catch(() => []),
    'rules of nft': rulesWithTheirChains(await must('nft', ['list', 'ruleset'])),
    links: (JSON.parse(await must('ip', ['-j', '-d', 'link'])) as Record<string, unknown>[]).map((link) =>
      JSON.stringify([link['ifname'], link['address'], link['flags'], link['master'], link['linkinfo']]).replace(
        /"\w+_timer":[\d.]+,?/g,
        '',
      ),
    ),
    addresses: (
      JSON.parse(await must('ip', ['-j', 'addr'])) as { ifname: string; addr_info: { local: string }[] }[]
    ).flatMap((link) => link.addr_info.map(({ local }) => `${link.ifname} ${local}`)),
    routes: lines(await must('ip', ['route', 'show', 'table', 'all'])).filter((line) => !line.includes(' linkdown')),
    rules: lines(await must('ip', ['rule'])),
    'network namespaces': await readdir('/run/netns').catch(() => []),
    mounts: lines(await readFile('/proc/self/mountinfo', 'utf8')).map((line) => {
      const fields = line.split(' ');
      return [fields[4], ...fields.slice(fields.indexOf('-') + 1)].join(' ');
    }),
    'loop devices': lines(await must('losetup', ['--noheadings', '--output', 'BACK-FILE'])),
    // What the kernel counts is left out, and what is said for each interface beyond the common ones.
    sysctls: lines((await run('sysctl', ['-a'])).stdout).filter(
      (line) =>
        !/^(fs\.(dentry-state|inode|file-nr|aio-nr|quota)|kernel\.(random|ns_last_pid|pty\.nr|sched_|perf_event_max|tainted|threads-max|hostname)|net\.netfilter\.nf_conntrack_count|vm\.)/.test(
          line,
        ) && !/^net\.ipv[46]\.(conf|neigh)\.(?!all\.|default\.|lo\.|eth0\.)/.test(line),
    ),
    modules: lines(await readFile('/proc/modules', 'utf8').catch(() => '')).map((line) => line.split(' ')[0] ?? ''),
    accounts: (
      await Promise.all(
        ['passwd', 'group', 'shadow', 'gshadow', 'subuid', 'subgid'].map(async (file) =>
          lines(await readFile(`/etc/${file}`, 'utf8').catch(() => '')).map((line) => `${file} ${line}`),
        ),
      )
    ).flat(),
    'files of /etc': await contents('/etc'),
    files: await names(
      ['/var', '/run', '/usr/local', '/usr/lib/systemd', '/lib/systemd', '/opt', '/srv', '/dev/shm', '/boot'],
      ['/var/lib/dpkg', '/var/lib/apt', '/var/cache', '/usr/local/lib/node_modules'],
    ),
    'files at the top': await names(['/', '/tmp', '/root', '/home', '/var/tmp'], [], 1),
  };
}

/** Processes that have to do with any of these words: by their arguments, environment, folder or open files. */
export async function processesOf(words: readonly string[]): Promise<string[]> {
  if (words.length === 0 || words.includes('')) throw new Error('Every process has to do with nothing.');
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
    const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const links = await Promise.all(
      ['cwd', 'root', 'exe', ...files.map((name) => `fd/${name}`)].map((name) =>
        readlink(`/proc/${pid}/${name}`).catch(() => ''),
      ),
    );
    const text = [await read('cmdline'), await read('environ'), ...links].join('\0');
    // The engine's daemon closes files of what is gone when it pleases.
    if (/^\S*(lxd|incusd)\0--group/.test(await read('cmdline'))) continue;
    if (words.some((word) => text.includes(word)))
      found.push(`${pid} ${(await read('cmdline')).replaceAll('\0', ' ')}`);
  }
  return found;
}

export interface Allowed {
  /** Matches the section's name, a colon, and the line. */
  line: RegExp;
  because: string;
}

/**
 * What is there more (`+`) or less (`-`) than before, but for what is allowed. Lines that name an installation of
 * Poolhouse other than `ids` are somebody else's affair.
 */
export function differences(
  before: Picture,
  after: Picture,
  ids: readonly string[],
  allowed: readonly Allowed[],
): string[] {
  const foreign = (line: string) => {
    const named = [...line.matchAll(/(?:poolhouse[-_]|\bph)([0-9a-f]{8})(?![0-9a-z])/g)].map((match) => match[1] ?? '');
    return named.length > 0 && !named.some((id) => ids.includes(id));
  };
  const found: string[] = [];
  for (const section of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [was, is] = [before[section] ?? [], after[section] ?? []];
    const changes = [
      ...missingFrom(is, was).map((line) => `- ${section}: ${line}`),
      ...missingFrom(was, is).map((line) => `+ ${section}: ${line}`),
    ];
    found.push(
      ...changes.filter((change) => !foreign(change) && !allowed.some(({ line }) => line.test(change.slice(2)))),
    );
  }
  return found;
}

/** Lines of `list` that are not in `other`, as often as they are there more. */
function missingFrom(other: readonly string[], list: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const line of other) left.set(line, (left.get(line) ?? 0) + 1);
  return list.filter((line) => {
    const count = left.get(line) ?? 0;
    if (count > 0) left.set(line, count - 1);
    return count === 0;
  });
}

/** Each rule behind the names of its table and chain. */
function rulesWithTheirChains(ruleset: string): string[] {
  let [table, chain] = ['', ''];
  const rules = lines(ruleset).filter((line) => line.trim() !== '}');
  return rules.map((line) => {
    if (/^table /.test(line)) [table, chain] = [line, ''];
    else if (/^\t(chain|map|set) /.test(line)) chain = line.trim();
    return `${table} ${chain} ${line.trim()}`;
  });
}

const lines = (text: string) => text.split('\n').filter((line) => line.trim() !== '');

async function contents(folder: string): Promise<string[]> {
  const found = lines(await must('find', [folder, '-xdev', '-printf', '%y %p %m %U %G %l\n'], { timeoutMs: 60_000 }));
  return Promise.all(
    found.map(async (line): Promise<string> => {
      const path = line.split(' ')[1] ?? '';
      if (!line.startsWith('f')) return line;
      const text = await readFile(path).catch(() => Buffer.alloc(0));
      return `${line}${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
    }),
  );
}

async function names(folders: readonly string[], without: readonly string[], depth?: number): Promise<string[]> {
  const prune = without.flatMap((path) => ['-path', path, '-prune', '-o']);
  const limit = depth === undefined ? [] : ['-maxdepth', String(depth)];
  const there = folders.filter((path) => existsSync(path));
  const { stdout } = await run('find', [...there, '-xdev', ...limit, ...prune, '-printf', '%y %p %m %U %G\n'], {
    timeoutMs: 60_000,
  });
  // Anybody may come and go in the folder for temporary files, tests among them. A shell of ours would name its files so.
  return lines(stdout).filter((line) => !/^\S \/tmp\/(?!tmp\.)/.test(line));
}
