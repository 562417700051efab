import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readConfig } from '../../core/config.ts';
import { homeAt } from '../../core/home.ts';
import { filesElsewhere, findHomeFiles, mayGoIn } from './home-files.ts';

describe('what of a home goes into a backup', () => {
  it('is what makes it again, without keys, copies, logs, and what links lead to', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'poolhouse-home-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const names = [
      ...[
        'installation.json',
        'config.json',
        'config.json.before',
        'catalogue.json',
        'store.sqlite',
        'store.sqlite-wal',
      ],
      ...['secrets/key', 'certificates/ca.pem', 'certificates/ca.key', 'certificates/server.pem.new'],
      ...[
        'recipes/own/recipe.json',
        'recipes/own/files/tool.key',
        'backups/store-v1.sqlite',
        'logs/control.log',
        'sample/password',
      ],
    ];
    for (const name of names) {
      await mkdir(join(folder, dirname(name)), { recursive: true });
      await writeFile(join(folder, name), name);
    }
    await symlink('/etc/shadow', join(folder, 'recipes/own/link'));
    await symlink('/etc', join(folder, 'recipes/etc'));
    expect((await findHomeFiles(homeAt(folder))).map(({ name }) => name)).toEqual([
      ...['installation.json', 'config.json', 'catalogue.json', 'certificates/ca.pem'],
      ...['recipes/own/files/tool.key', 'recipes/own/recipe.json'],
    ]);
  });

  it.each<[string, boolean]>([
    ['config.json', true],
    ['store.sqlite', true],
    ['recipes/own/files/a', true],
    ['certificates/web.pem', true],
    ['certificates/web.key', false],
    ['certificates/deep/web.pem', false],
    ['secrets/key', false],
    ['restoring.json', false],
    ['images/a.tar', false],
    ['recipes', false],
  ])('%s: %s', (name, may) => {
    expect(mayGoIn(name)).toBe(may);
  });

  it('names the operator’s own files that lie elsewhere', () => {
    const config = readConfig(
      {
        ...{
          tlsCertificateFile: '/etc/tls/cert.pem',
          tlsKeyFile: '/etc/tls/key.pem',
          mirrors: { 'https://a/': '/srv/a' },
        },
        smtp: { host: 'mail', from: 'a@b', user: 'a', passwordFile: '/etc/mail' },
      },
      'config.json',
    );
    expect(filesElsewhere(config)).toEqual(['/etc/tls/cert.pem', '/etc/tls/key.pem', '/etc/mail', '/srv/a']);
  });
});
