/** What a person does at a pool with a real browser: signs in, works in notebooks and terminals, moves files, waits. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingForSystemTests, must, repository, TestInstallation, until } from './installation.ts';

const missing = await missingForSystemTests(['nft', 'mmdebstrap', 'chromium']);
const password = 'Correct-Horse-7';
const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ somebody';
const limitMs = 90_000;

describe.skipIf(missing !== undefined)(
  `a browser at the front door${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let installation: TestInstallation;
    let folder: string;
    let browser: Browser | undefined;
    let context: BrowserContext;
    let page: Page;
    let start: string;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'poolhouse-browser-'));
      installation = await TestInstallation.make({ poolGiB: 30 });
      await installation.mustPoolhouse('up');
      await must(join(repository, 'bin', 'poolhouse'), ['users', 'add', 'alice', '--password-stdin'], {
        env: installation.env,
        input: password,
      });
      await installation.mustPoolhouse(
        ...['deploy', '-g', 'team', '-f', join(repository, 'examples/shared-pool/template.json')],
        ...['-p', 'adminUsername=azure', '-p', `adminPassword=${password}`, '-p', `adminPublicKey=${key}`],
        ...['-p', 'instanceCount=1'],
      );
      start = `https://${(await installation.pool('sharedpool')).frontEnds[0]?.address ?? ''}:8000/`;
      browser = await chromium.launch({
        executablePath: '/usr/bin/chromium',
        // Tests run as root, in places without a network.
        args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'].concat(
          ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
        ),
      });
      context = await browser.newContext({ ignoreHTTPSErrors: true, acceptDownloads: true });
      context.setDefaultTimeout(limitMs);
      page = await context.newPage();
    });
    afterAll(async () => {
      // Also where there was no time to begin one.
      await browser?.close();
      await installation.destroy();
      await rm(folder, { recursive: true, force: true });
    });

    const signIn = async (secret: string) => {
      await page.fill('#user', 'alice');
      await page.fill('#password', secret);
      await page.click('button');
    };

    const fileList = () => page.locator('#notebook_list');

    /** Opens what the menu for new things offers, in its window. */
    const openNew = async (choice: string): Promise<Page> => {
      await page.click('#new-dropdown-button, #new-buttons button');
      const [opened] = await Promise.all([context.waitForEvent('page'), page.click(choice)]);
      return opened;
    };

    it('signs in on the page that it is shown, and stands in its notebook server', async () => {
      await page.goto(start);
      expect(await page.title()).toBe('Sign in');
      await signIn('not-the-password');
      await page.getByText('The name or the password is not right.').waitFor();
      await signIn(password);
      await page.waitForURL('**/user/alice/tree**', { timeout: limitMs });
      await fileList().waitFor();
    });

    it('runs a cell', async () => {
      const notebook = await openNew('#kernel-python3 a');
      await notebook.locator('.kernel_idle_icon').waitFor();
      await notebook.locator('.cell.selected .CodeMirror').first().click();
      await notebook.keyboard.type('import getpass; print(getpass.getuser(), 6 * 7)');
      await notebook.keyboard.press('Shift+Enter');
      await notebook.locator('.output_stdout', { hasText: 'alice 42' }).waitFor();
      // A kernel that runs on would keep the machine.
      await notebook.getByRole('menuitem', { name: 'File' }).or(notebook.locator('#filelink')).first().click();
      await notebook.locator('#close_and_halt a').click();
      await notebook.waitForEvent('close').catch(() => undefined);
    });

    it('types in a terminal', async () => {
      const terminal = await openNew('#new-terminal a');
      await terminal.locator('.xterm, .terminal').first().click();
      await terminal.keyboard.type('echo $((6 * 7))-$(id -un) > ~/notebooks/typed.txt');
      await terminal.keyboard.press('Enter');
      await until('what was typed has run', async () => {
        const text = await page.evaluate<string>(
          `fetch('/user/alice/files/typed.txt').then((answer) => answer.text())`,
        );
        return text.trim() === '42-alice' || undefined;
      });
      await terminal.keyboard.type('exit');
      await terminal.keyboard.press('Enter');
      await terminal.close();
    });

    it('uploads a file, and downloads it again', async () => {
      const content = randomBytes(5_000_000);
      await writeFile(join(folder, 'data.bin'), content);
      await page.reload();
      await fileList().waitFor();
      await page.setInputFiles('#alternate_upload input', join(folder, 'data.bin'));
      await page.click('.upload_button');
      await page.locator('#notebook_list a', { hasText: 'data.bin' }).waitFor();
      // As a link of the file list does it, but for the window that it opens.
      const link = page.evaluate(`(() => {
        const anchor = Object.assign(document.createElement('a'), { href: '/user/alice/files/data.bin?download=1' });
        document.body.append(anchor);
        anchor.click();
      })()`);
      const [download] = await Promise.all([page.waitForEvent('download'), link]);
      expect((await readFile(await download.path())).equals(content)).toBe(true);
    });

    it('is told that its machine goes, and then why it has gone', async () => {
      const arm = await installation.arm();
      const { id } = await installation.pool('sharedpool');
      await arm.send('PATCH', id, { sku: { capacity: 0 } });
      await page.locator('.poolhouse-news', { hasText: 'This machine goes in 30 minutes' }).waitFor();
      await installation.mustPoolhouse('sessions', 'end', '--user', 'alice', '--reason', 'The roof is on fire.');
      await page.locator('.poolhouse-news', { hasText: 'The roof is on fire.' }).waitFor();
      await page.reload();
      await page.getByText('The roof is on fire.').waitFor();
    });

    it('waits on a page for the machine that its sign-in has woken', async () => {
      await until('the machine is gone', async () =>
        (await installation.pool('sharedpool')).instances.length === 0 ? true : undefined,
      );
      await signIn(password);
      await page.getByRole('heading', { name: 'Your machine is being prepared' }).waitFor();
      await page.waitForURL('**/user/alice/tree**', { timeout: limitMs });
      await page.locator('#notebook_list a', { hasText: 'Welcome.ipynb' }).waitFor();
    });
  },
);
