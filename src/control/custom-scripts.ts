/**
 * The CustomScript extension: fetches the files, puts them into the instance, runs the command there as root, and says
 * how it ended. Storage keys of ours are replaced by handles before anything enters the instance.
 */
import { gunzipSync } from 'node:zlib';
import type { Logger } from 'pino';
import { PoolhouseError, errorBodyOf } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import { redact, redactEnd } from '../core/redact.ts';
import type { ResourceKey } from '../core/resource-id.ts';
import type { Clock } from '../core/time.ts';
import type { Engine } from '../engines/engine.ts';
import { readCustomScript, type ExtensionModel } from '../providers/compute/scale-set-model.ts';
import { revealIn, secretsBetween, type Secrets } from '../secrets/secrets.ts';
import type { InstanceRecord } from '../store/instance-records.ts';
import type { Store } from '../store/store.ts';
import type { Mounts } from './mounts.ts';

export interface ScriptEnd {
  status: 'succeeded' | 'failed';
  exitCode?: number;
  timedOut?: true;
  message: string;
}

export interface CustomScripts {
  /** Runs the script to its end. At the limit, and when the signal aborts, all that it started is ended with it. */
  run(what: {
    instance: InstanceRecord;
    scaleSetKey: ResourceKey;
    extension: ExtensionModel;
    /** Names this run inside the instance. */
    runId: string;
    /** An earlier run that nobody saw the end of: it is ended first. */
    interruptedRunId?: string;
    /** How long the script may run. */
    limitMs: number;
    signal: AbortSignal;
  }): Promise<ScriptEnd>;
}

export interface CustomScriptParts {
  store: Store;
  secrets: Secrets;
  engine: Engine;
  mounts: Mounts;
  fetch(url: string, signal: AbortSignal): Promise<Uint8Array>;
  clock: Clock;
  log: Logger;
}

/** Where Azure's own agent keeps the files (https://learn.microsoft.com/azure/virtual-machines/extensions/custom-script-linux). */
const folder = '/var/lib/waagent/custom-script/download/0';
/** How long ending a script may take. */
const endLimit = 15_000;
/** Azure shows the last 4 KB of each stream. */
const shownBytes = 4_096;
const largestScript = 2 ** 20;

export function createCustomScripts(parts: CustomScriptParts): CustomScripts {
  const { store, secrets, engine, mounts, clock, log } = parts;

  /** Ends everything that a run started: all of it is in one unit of the instance's systemd, wherever it forked to. */
  async function endRun(instanceName: string, runId: string): Promise<void> {
    await engine
      .exec(
        instanceName,
        ['systemctl', 'kill', '--signal=KILL', unitOf(runId)],
        { timeoutMs: endLimit },
        AbortSignal.timeout(endLimit),
      )
      .catch((error: unknown) => {
        // The instance may be gone by now, and its processes with it.
        log.warn({ instance: instanceName, err: error }, 'what a script had started could not be ended');
      });
  }

  return {
    async run({ instance, scaleSetKey, extension, runId, interruptedRunId, limitMs, signal }) {
      const hidden: string[] = [];
      const reveal = async (text: string) => {
        const shown = await secrets.reveal(store.db, scaleSetKey, text);
        hidden.push(...secretsBetween(text, shown));
        return shown;
      };
      const settings = await revealIn(extension.settings, reveal);
      const protectedText =
        extension.protectedSettings === undefined
          ? '{}'
          : await secrets.reveal(store.db, scaleSetKey, extension.protectedSettings);
      const protectedSettings = asObject(protectedText);
      hidden.push(...stringsOf(protectedSettings));
      const clean = (text: string) => redact(text, hidden);

      try {
        const script = readCustomScript(settings, protectedSettings);
        const plain = script.isScript ? unpackScript(script.command) : script.command;
        const { text: command, handles } = await mounts.withHandles(instance.name, plain);
        hidden.push(...handles);
        for (const uri of script.fileUris) {
          const content = await parts.fetch(uri, signal);
          await engine.writeFile(
            instance.name,
            { path: `${folder}/${fileNameOf(uri)}`, content, mode: 0o500, uid: 0, gid: 0 },
            signal,
          );
        }
        // The command goes into a file: in an argument list everybody on the instance could read it. The shell holds it
        // open when it has begun: nothing of it stays on the disk.
        const file = `${folder}/.command.sh`;
        await engine.writeFile(
          instance.name,
          { path: file, content: `rm -f ${file}\ncd ${folder} && ${command}\n`, mode: 0o500, uid: 0, gid: 0 },
          signal,
        );
        if (interruptedRunId !== undefined) await endRun(instance.name, interruptedRunId);
        const since = clock.now();
        const result = await engine
          .exec(
            instance.name,
            ['systemd-run', '--scope', '--quiet', '--collect', `--unit=${unitOf(runId)}`, '--', '/bin/sh', file],
            { timeoutMs: limitMs, keepBytes: shownBytes, cwd: folder },
            signal,
          )
          .catch(async (error: unknown) => {
            await endRun(instance.name, runId);
            const unavailable = error instanceof PoolhouseError && error.code === 'EngineUnavailable';
            if (!signal.aborted && !unavailable && clock.now() - since >= limitMs) return undefined;
            throw error;
          });
        if (result === undefined) {
          return {
            status: 'failed',
            timedOut: true,
            message: `Enable failed: the command ran longer than ${limitMs / 60_000} minutes and was ended, with all that it had started. If it needs more time, set the tag 'poolhouse-script-minutes' of the scale set.`,
          };
        }
        const isCut = (text: string) => Buffer.byteLength(text) >= shownBytes;
        const shown = (text: string) => (isCut(text) ? redactEnd(text, hidden) : clean(text));
        const output = `\n[stdout]\n${shown(result.stdout)}\n[stderr]\n${shown(result.stderr)}`;
        if (result.exitCode !== 0) {
          return {
            status: 'failed',
            exitCode: result.exitCode,
            message: `Enable failed: failed to execute command: command terminated with exit status=${result.exitCode}${output}`,
          };
        }
        // The published script checks no exit code: a mount that was refused meanwhile is its failure all the same.
        const refused = mounts.refusedSince(instance.name, since);
        if (refused.length > 0) {
          return {
            status: 'failed',
            exitCode: 0,
            message: `Enable failed: the command ended with exit status=0, but ${clean(refused.join('; '))}.${output}`,
          };
        }
        return { status: 'succeeded', exitCode: 0, message: `Enable succeeded: ${output}` };
      } catch (error) {
        if (signal.aborted) throw error;
        // A daemon that does not answer says nothing about the script: the step is tried again.
        if (error instanceof PoolhouseError && error.code === 'EngineUnavailable') throw error;
        return { status: 'failed', message: clean(`Enable failed: ${errorBodyOf(error).message}`) };
      }
    },
  };
}

/** `script` is base64, and may be packed with gzip (https://learn.microsoft.com/azure/virtual-machines/extensions/custom-script-linux). */
function unpackScript(script: string): string {
  const bytes = Buffer.from(script, 'base64');
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.toString('utf8');
  try {
    return gunzipSync(bytes, { maxOutputLength: largestScript }).toString('utf8');
  } catch (error) {
    throw new PoolhouseError(
      'InvalidParameter',
      `The 'script' of the CustomScript extension cannot be unpacked: it is not whole, or larger than ${largestScript / 2 ** 20} MiB.`,
      { cause: error },
    );
  }
}

const unitOf = (runId: string) => `poolhouse-script-${runId}.scope`;

function asObject(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function stringsOf(value: JsonObject): string[] {
  return Object.values(value).flatMap((inner) =>
    typeof inner === 'string' ? [inner] : isObject(inner) ? stringsOf(inner) : [],
  );
}

function fileNameOf(uri: string): string {
  const name = URL.canParse(uri) ? decodeURIComponent(new URL(uri).pathname.split('/').at(-1) ?? '') : '';
  if (!/^[A-Za-z0-9_][A-Za-z0-9._ -]{0,200}$/.test(name)) {
    throw new PoolhouseError(
      'InvalidParameter',
      `The file URI '${uri.split('?')[0]?.slice(0, 200) ?? ''}' does not end in a file name.`,
      { target: 'fileUris' },
    );
  }
  return name;
}
