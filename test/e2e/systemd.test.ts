/** How the processes live on a machine that boots: under systemd, and by our own supervisor where init runs scripts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StatusDocument } from '../../src/control/status.ts';
import { Box } from './box.ts';
import { missingForSystemTests, until } from './installation.ts';

const missing = await missingForSystemTests(['mmdebstrap', 'npm', 'tar']);
const home = '/var/lib/poolhouse';

describe.skipIf(missing !== undefined)(
  `a machine that boots${missing === undefined ? '' : ` (left out: ${missing})`}`,
  { timeout: 120_000 },
  () => {
    let box: Box;
    let id: string;
    let up: StatusDocument;

    beforeAll(async () => {
      box = await Box.make();
    });
    afterAll(async () => {
      await box.destroy();
    });

    const pids = (status: StatusDocument) => ({ control: status.control.pid, gateway: status.gateway.pid });
    /** Of the gateway that serves. */
    let serial = 1;
    const unit = (name: string) => `poolhouse-${id}-${name === 'gateway' ? `gateway-${String(serial)}` : name}.service`;
    async function show(name: string, property: string): Promise<string> {
      return (await box.must(`systemctl show --property=${property} --value ${unit(name)}`)).trim();
    }
    const readId = async () => (JSON.parse(await box.must(`cat ${home}/installation.json`)) as { id: string }).id;
    /** Kills a process of ours, and tells how long it took until both served again. */
    async function killed(name: 'control' | 'gateway'): Promise<StatusDocument> {
      const before = await box.serving();
      const since = Date.now();
      await box.must(`kill -9 ${String(before[name].pid)}`);
      const after = await box.serving((now) => now[name].pid !== before[name].pid);
      process.stdout.write(`${name} killed: both serve again after ${Date.now() - since} ms\n`);
      const other = name === 'control' ? 'gateway' : 'control';
      expect(after[other].pid).toBe(before[other].pid);
      return after;
    }

    describe('under systemd', () => {
      it('goes up as units that are enabled, without a supervisor of ours', async () => {
        up = await box.document<StatusDocument>('up --engine sim');
        expect(up).toMatchObject({ control: { healthy: true }, gateway: { healthy: true } });
        id = await readId();
        for (const name of ['control', 'gateway'] as const) {
          expect([await show(name, 'ActiveState'), await show(name, 'UnitFileState')]).toEqual(['active', 'enabled']);
          expect(await show(name, 'MainPID')).toBe(String(up[name].pid));
        }
        expect((await box.sh('pgrep -f supervisor-mai[n]')).exitCode).toBe(1);
      });

      it('runs the gateway without any right, and both without a way to more', async () => {
        const status = (name: string, field: string) =>
          box.must(`awk '/^${field}:/ {print $2}' /proc/$(systemctl show -p MainPID --value ${unit(name)})/status`);
        expect(await status('gateway', 'Uid')).toBe(await box.must('id -u nobody'));
        for (const field of ['CapEff', 'CapPrm', 'CapAmb', 'CapInh'])
          expect(Number.parseInt(await status('gateway', field), 16)).toBe(0);
        for (const name of ['control', 'gateway']) {
          expect(await status(name, 'NoNewPrivs')).toBe('1\n');
          const inside = `nsenter --mount --target $(systemctl show -p MainPID --value ${unit(name)})`;
          expect((await box.sh(`${inside} touch /etc/theirs`)).stderr).toContain('Read-only');
        }
        // What it carries passes through it; what people keep on the machine it does not see.
        await box.must('touch /root/theirs /tmp/theirs');
        const seen = await box.must(`nsenter --mount --target ${String(up.gateway.pid)} ls -A /root /home /tmp`);
        expect(seen).not.toContain('theirs');
      });

      it('goes up again, and changes nothing', async () => {
        const times = () => box.must(`stat -c '%n %y' /etc/systemd/system/poolhouse-* /etc/tmpfiles.d/poolhouse-*`);
        const before = await times();
        expect(pids(await box.document<StatusDocument>('up'))).toEqual(pids(up));
        expect(await times()).toBe(before);
      });

      it.each(['control', 'gateway'] as const)('has a %s again after it was killed', async (name) => {
        up = await killed(name);
      });

      it('is back after a reboot, without anybody', async () => {
        const modes = `cd /run/poolhouse-${id} && stat -c '%n %a %U' . gateway`;
        const before = await box.must(modes);
        await box.reboot();
        up = await box.serving();
        expect(await box.must(modes)).toBe(before);
      });

      it('begins control anew after an upgrade, and the gateway only when it is another', async () => {
        const code = '/opt/poolhouse/dist';
        await box.must(`echo '{"build": "2222222", "date": "2030-01-02"}' > ${code}/build.json`);
        let after = await box.document<StatusDocument>('up');
        expect(after.control.pid).not.toBe(up.control.pid);
        expect(after.gateway.pid).toBe(up.gateway.pid);
        up = after;
        await box.must(`echo '// changed' >> ${code}/gateway/gateway.js`);
        after = await box.document<StatusDocument>('up');
        expect(after.control.pid).toBe(up.control.pid);
        expect(after.gateway.pid).not.toBe(up.gateway.pid);
        expect(after).toMatchObject({ control: { healthy: true }, gateway: { healthy: true } });
        up = after;
        serial = 2;
        expect(await show('gateway', 'MainPID')).toBe(String(up.gateway.pid));
      });

      it('replaces the gateway by another one, which is there after a reboot, and nothing of the old one', async () => {
        const { pids: begun } = await box.document<{ pids: number[] }>('gateway restart');
        const old = unit('gateway');
        serial = 3;
        up = await box.serving((now) => now.gateway.pid === begun[0]);
        expect(await show('gateway', 'MainPID')).toBe(String(up.gateway.pid));
        expect((await box.sh(`systemctl is-enabled ${old}`)).stdout).toBe('disabled\n');
        await box.reboot();
        up = await box.serving();
        expect(await show('gateway', 'MainPID')).toBe(String(up.gateway.pid));
        expect((await box.sh(`systemctl is-active ${old}`)).stdout).toBe('inactive\n');
        expect(pids(await box.document<StatusDocument>('up'))).toEqual(pids(up));
        expect(await box.must(`cd /etc/systemd/system && ls -d poolhouse-*gateway*`)).toBe(`${unit('gateway')}\n`);
      });

      it('tells what happened, and turns a log over that has grown large', async () => {
        const told = await box.document<{ msg: string; process: string }[]>('logs');
        expect(new Set(told.map((line) => line.process))).toEqual(new Set(['control', 'gateway']));
        await box.must(`head -c 21000000 /dev/zero | tr '\\0' x >> ${home}/logs/gateway.log`);
        await until('it is turned over', async () => {
          const { stdout } = await box.sh(`cd ${home}/logs && stat -c '%s' gateway.log.1 gateway.log`);
          const [old = 0, now = Infinity] = stdout.split('\n').map(Number);
          return old > 21_000_000 && now < 1_000_000 ? true : undefined;
        });
        await killed('gateway');
        expect((await box.poolhouse('logs gateway')).stdout).toContain('gateway started');
        expect(await box.must(`stat -c '%a' ${home}/logs/*.log`)).toBe('600\n600\n');
      });

      it('opens its secrets with a credential of systemd', async () => {
        await box.must('head -c 32 /dev/urandom > /root/key && mkdir -p /etc/credstore.encrypted');
        await box.must(
          'systemd-creds encrypt --with-key=host --name=poolhouse-master-key /root/key /etc/credstore.encrypted/team',
        );
        await box.write(
          `/etc/systemd/system/${unit('control')}.d/key.conf`,
          '[Service]\nLoadCredentialEncrypted=poolhouse-master-key:/etc/credstore.encrypted/team\n',
        );
        expect(await box.document('rotate-key --to credential --key-file /root/key')).toEqual({
          masterKey: 'credential',
        });
        await box.must('rm /root/key');
        const before = (await box.serving()).control.pid;
        await box.must(`systemctl daemon-reload && systemctl restart ${unit('control')}`);
        const after = await box.serving((now) => now.control.pid !== before);
        expect((await box.sh(`ls ${home}/secrets/key`)).exitCode).not.toBe(0);
        expect((await box.document<StatusDocument>('up')).control.pid).not.toBe(before);
        expect(after.control.healthy).toBe(true);
      });

      it('waits for the passphrase after a reboot, as long as it takes', async () => {
        await box.write('/root/phrase', 'correct horse battery\n', 0o600);
        await box.document('rotate-key --to passphrase --passphrase-file /root/phrase');
        await box.reboot();
        await until('control says so', async () =>
          (await box.poolhouse('logs control')).stdout.includes('waits for the passphrase') ? true : undefined,
        );
        const { exitCode, stderr } = await box.poolhouse('up');
        expect({ exitCode, stderr }).toEqual({
          exitCode: 1,
          stderr: expect.stringContaining('--passphrase-file') as string,
        });
        const waiting = await show('control', 'MainPID');
        up = await box.document<StatusDocument>('up --passphrase-file /root/phrase');
        expect(String(up.control.pid)).toBe(waiting);
        expect(await show('control', 'NRestarts')).toBe('0');
        await box.document('rotate-key --to file');
      });

      it('goes down, and stays down over a reboot', async () => {
        expect(await box.document('down')).toEqual({ stopped: ['gateway', 'control'] });
        expect(await box.document('down')).toEqual({ stopped: [] });
        await box.reboot();
        expect(await box.status()).toMatchObject({ control: { healthy: false, pid: 0 }, gateway: { pid: null } });
        for (const name of ['control', 'gateway']) expect(await show(name, 'ActiveState')).toBe('inactive');
        up = await box.document<StatusDocument>('up');
        expect(up).toMatchObject({ control: { healthy: true }, gateway: { healthy: true } });
      });

      it('is gone after down --destroy', async () => {
        await box.document('down --destroy --yes');
        await expectNothingLeft();
        expect(await box.must(`systemctl list-units --all --plain --no-legend 'poolhouse-${id}*'`)).toBe('');
      });
    });

    describe('by init scripts', () => {
      it('goes up with a supervisor of ours', async () => {
        await box.bootByScripts();
        expect((await box.sh('[ -e /run/systemd/system ]')).exitCode).toBe(1);
        up = await box.document<StatusDocument>('up --engine sim');
        expect(up).toMatchObject({ control: { healthy: true }, gateway: { healthy: true } });
        id = await readId();
      });

      it('has a supervisor again after that was killed, and then a gateway', async () => {
        const supervisor = async () => (await box.sh('pgrep -f supervisor-mai[n]')).stdout.trim();
        const before = await supervisor();
        expect(before).toMatch(/^\d+$/);
        await box.must(`kill -9 ${before}`);
        await until('there is another one', async () => {
          const now = await supervisor();
          return now !== '' && now !== before ? now : undefined;
        });
        await killed('gateway');
      });

      it('is back after a reboot, without anybody', async () => {
        await box.reboot();
        up = await box.serving();
        expect(pids(await box.document<StatusDocument>('up'))).toEqual(pids(up));
      });

      it('goes down, and stays down over a reboot', async () => {
        expect(await box.document('down')).toEqual({ stopped: ['gateway', 'control'] });
        await box.reboot();
        expect(await box.status()).toMatchObject({ control: { healthy: false, pid: 0 }, gateway: { pid: null } });
        await box.document('up');
      });

      it('is gone after down --destroy', async () => {
        await box.document('down --destroy --yes');
        await expectNothingLeft();
      });
    });

    /** Nothing anywhere in the box carries the name. The journal remembers, as it should. */
    async function expectNothingLeft(): Promise<void> {
      expect(await box.must(`find /etc /run /var/lib -name '*poolhouse*${id}*'`)).toBe('');
      expect((await box.sh(`ls ${home}`)).exitCode).not.toBe(0);
      expect((await box.sh('pgrep -f /opt/poolhous[e]')).exitCode).toBe(1);
      expect((await box.sh('getent passwd poolhouse')).exitCode).toBe(2);
    }
  },
);
