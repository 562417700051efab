import { Command, Option } from 'commander';
import type { CostsDocument } from '../control/read-costs.ts';
import { costGroups, type CostRow } from '../pool/sum-costs.ts';
import { askControl } from '../host/local-api.ts';
import { adminSocketOf } from './admin-socket.ts';
import { printAnswer } from './people-words.ts';
import type { Shared } from './shared.ts';
import { table, tableWidth } from './table.ts';
import { UsageError } from './usage-error.ts';

interface CostsOptions {
  pool?: string;
  by: string;
  from?: string;
  to?: string;
  json?: true;
}

export function costsCommand(shared: Shared): Command {
  return new Command('costs')
    .description('what instances were used for, in hours and money')
    .option('--pool <pool>', 'of this pool: NAME or GROUP/NAME of the scale set')
    .addOption(new Option('--by <what>', 'a line for each of these').choices(costGroups).default('pool'))
    .option('--from <date>', 'from this day on, in UTC (30 days ago)')
    .option('--to <date>', 'until the end of this day, in UTC (today)')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `\nUsed is the time when somebody was active on an instance, idle when nobody was; standby is what was kept ready. Time on an\ninstance with several people is divided between them. Prices come from 'prices' in config.json.\n\nExamples:\n  poolhouse costs\n  poolhouse costs --by user --pool sharedpool --from 2026-03-01 --to 2026-03-31\n  poolhouse costs --by day --json | jq .total.cost`,
    )
    .action(async (options: CostsOptions) => {
      const query = costsQuery(options);
      const text = await askControl(await adminSocketOf(shared), `/v1/costs?${query.toString()}`);
      const costs = JSON.parse(text) as CostsDocument; // of our own process
      printAnswer(options, costs, () => describeCosts(costs, tableWidth(process.stdout)));
    });
}

/** The question for control. Fails with a `UsageError` where a date is none. Pure. */
export function costsQuery({ pool, by, from, to }: Omit<CostsOptions, 'json'>): URLSearchParams {
  for (const [option, value] of Object.entries({ from, to }))
    if (value !== undefined && !isDate(value))
      throw new UsageError(`--${option}: '${value}' is not a day such as 2026-03-01.`);
  if (from !== undefined && to !== undefined && from > to)
    throw new UsageError(`--from ${from} comes after --to ${to}.`);
  return new URLSearchParams(
    Object.entries({ pool, by, from, to }).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

const isDate = (text: string) =>
  /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)) && new Date(text).toISOString().startsWith(text);

/** For people: a table that fits their terminal. Pure. */
export function describeCosts(costs: CostsDocument, width: number): string {
  const { by, from, to, pool, currency, rows, total, unpriced } = costs;
  const time = `from ${from} to ${to}${pool === null ? '' : ` in ${pool}`}`;
  if (rows.length === 0) return `Nothing is in the ledger ${time}.\n`;
  const isPriced = total.cost !== null;
  const cells = (name: string, row: CostRow) => [
    name,
    ...[row.usedHours, row.idleHours, row.standbyHours].map((hours) => hours.toFixed(1)),
    ...(isPriced ? [row.cost === null ? '-' : row.cost.toFixed(2)] : []),
  ];
  const lines = [
    `Hours of instances ${time}`,
    ...table(
      [by, 'used', 'idle', 'standby', ...(isPriced ? [currency] : [])],
      [
        ...rows.map((row) => cells(row.key === '' ? '(nobody)' : row.key, row)),
        ...(rows.length > 1 ? [cells('together', total)] : []),
      ],
      width,
    ),
  ];
  if (unpriced.length > 0) lines.push(`Without a price ('prices' in config.json has them): ${unpriced.join(', ')}`);
  return `${lines.join('\n')}\n`;
}
