import { readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import * as prompts from '@clack/prompts';
import { Command } from 'commander';
import { pino } from 'pino';
import { PoolhouseError } from '../core/errors.ts';
import { isObject, textOf, type Json, type JsonObject } from '../core/json.ts';
import type { Home } from '../core/home.ts';
import type { Installation } from '../core/installation.ts';
import { createFetcher } from '../fetch/fetcher.ts';
import { createArmClient } from '../host/arm-client.ts';
import { readConfigFile } from '../host/config-file.ts';
import { deployTemplate } from '../host/deploy-template.ts';
import { readInstallation } from '../host/installations.ts';
import { createProgress } from '../host/progress.ts';
import {
  declaredParameters,
  parseAs,
  suppliedParameters,
  valueOf,
  type DeclaredParameter,
} from './deployment-parameters.ts';
import { plainText } from './plain-text.ts';
import type { Shared } from './shared.ts';
import { UsageError } from './usage-error.ts';

interface DeployOptions {
  group: string;
  template: string;
  parameters: string[];
  name?: string;
  location: string;
  json?: boolean;
}

export function deployCommand({ home, signal }: Shared): Command {
  return new Command('deploy')
    .description('deploy a template, as az deployment group create does')
    .requiredOption('-g, --group <group>', 'resource group; it is made when it is not there')
    .requiredOption('-f, --template <file-or-url>', 'the template')
    .option(
      '-p, --parameters <parameter>',
      'NAME=VALUE, or @FILE (repeatable; later ones win)',
      (value: string, before: string[]) => [...before, value],
      [] as string[],
    )
    .option('-n, --name <name>', `the deployment's name (the template's, unless given)`)
    .option('-l, --location <location>', 'location of a group that is made', 'local')
    .option('--json', 'print the deployment as one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  poolhouse deploy -g team -f dsvm-vmss-cluster.json -p @dsvm-vmss-cluster.parameters.json\n  poolhouse deploy -g team -f template.json -p instanceCount=3 -p @more.json\n\nParameters that are missing are asked for; secure ones are not shown.',
    )
    .action(async (options: DeployOptions) => {
      const installation = await readInstallation(home);
      if (installation === undefined)
        throw new PoolhouseError(
          'HostNotReady',
          `There is no installation in ${home.folder} yet. 'poolhouse up' makes one.`,
        );
      const isUrl = /^https?:\/\//i.test(options.template);
      const text = isUrl
        ? await download(home, installation, options.template, signal)
        : await readTextFile(options.template);
      const declared = declaredParameters(parseAs(`The template '${options.template}'`, text));
      const supplied = await suppliedParameters(options.parameters, declared, readTextFile);
      const parameters = await askForMissing(declared, supplied);
      const client = await createArmClient(home, installation, signal);
      const progress = createProgress(process.stderr);
      const name =
        options.name ??
        (basename(isUrl ? new URL(options.template).pathname : options.template, extname(options.template))
          .replace(/[^-\w._()]/g, '-')
          .slice(0, 64) ||
          'deployment');
      const deployment = await deployTemplate(
        client,
        {
          group: options.group,
          location: options.location,
          name,
          template: isUrl ? { uri: options.template } : { text },
          parameters,
        },
        progress,
        signal,
      );
      process.stdout.write(
        options.json === true ? `${JSON.stringify(deployment, null, 2)}\n` : describeDeployment(name, deployment),
      );
    });
}

/** Control fetches the template itself; here it tells which parameters there are. By the same rules. */
async function download(home: Home, { apiPort }: Installation, url: string, signal: AbortSignal): Promise<string> {
  if (!URL.canParse(url)) throw new UsageError(`'${url}' is not a URL.`);
  const { config } = await readConfigFile(home.config);
  const { mirrors, fetchAllow } = config;
  const fetcher = createFetcher({
    policy: { mirrors, fetchAllow, forbidden: [`127.0.0.1:${apiPort}`] },
    log: pino({ level: 'silent' }),
  });
  return new TextDecoder().decode(await fetcher.fetch(url, { signal }));
}

async function readTextFile(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new UsageError(
      `The file '${file}' cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown reason'}.`,
    );
  });
}

/** Asks in a terminal for what has neither a value nor a default. */
async function askForMissing(declared: readonly DeclaredParameter[], supplied: JsonObject): Promise<JsonObject> {
  const given = new Set(Object.keys(supplied).map((name) => name.toLowerCase()));
  const missing = declared.filter((parameter) => !parameter.optional && !given.has(parameter.name.toLowerCase()));
  if (missing.length === 0) return supplied;
  if (!process.stdin.isTTY) {
    throw new UsageError(
      `These parameters have no value: ${missing.map((parameter) => parameter.name).join(', ')}. Give them with -p NAME=VALUE or -p @FILE.`,
    );
  }
  const result: JsonObject = { ...supplied };
  for (const parameter of missing) result[parameter.name] = { value: await ask(parameter) };
  return result;
}

async function ask(parameter: DeclaredParameter): Promise<Json> {
  const message = `${parameter.name}${parameter.description === '' ? '' : ` (${parameter.description})`}`;
  const output = process.stderr; // what is asked is no part of the result
  const answer = parameter.type.startsWith('secure')
    ? await prompts.password({ message, output })
    : parameter.allowedValues === undefined
      ? await prompts.text({ message, output, validate: (text = '') => whyNot(parameter, text) })
      : await prompts.select({
          message,
          output,
          options: parameter.allowedValues.map((value) => ({ value: textOf(value), label: textOf(value) })),
        });
  if (prompts.isCancel(answer)) throw new UsageError('Nothing was deployed.');
  return valueOf(parameter.name, answer, parameter.type);
}

/** What is wrong with an answer; undefined when nothing is. */
function whyNot(parameter: DeclaredParameter, text: string): string | undefined {
  try {
    valueOf(parameter.name, text, parameter.type);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function describeDeployment(name: string, deployment: JsonObject): string {
  const properties = isObject(deployment['properties']) ? deployment['properties'] : {};
  const outputs = isObject(properties['outputs']) ? Object.entries(properties['outputs']) : [];
  const lines = [
    `Deployed: ${name}`,
    ...outputs.map(
      ([output, value]) => `  ${output}: ${isObject(value) ? JSON.stringify(value['value'] ?? '(secret)') : ''}`,
    ),
    `'poolhouse status' shows how to reach it.`,
  ];
  return plainText(`${lines.join('\n')}\n`);
}
