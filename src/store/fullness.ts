/** What was told of how full shares and workspaces are: a restart tells nobody again. */
import type { ToldOfFullness } from '../pool/judge-fullness.ts';
import type { Queries } from './store.ts';

/** By place: `account/share`, or `account/share/folder`. */
export async function findFullness(queries: Queries): Promise<Map<string, ToldOfFullness>> {
  const rows = await queries.selectFrom('fullness').selectAll().execute();
  return new Map(rows.map(({ place, told_json }) => [place, JSON.parse(told_json) as ToldOfFullness])); // written below
}

export async function saveFullness(queries: Queries, place: string, told: ToldOfFullness): Promise<void> {
  const row = { place, told_json: JSON.stringify(told) };
  await queries
    .insertInto('fullness')
    .values(row)
    .onConflict((conflict) => conflict.column('place').doUpdateSet(row))
    .execute();
}

export async function forgetFullness(queries: Queries, places: readonly string[]): Promise<void> {
  if (places.length > 0) await queries.deleteFrom('fullness').where('place', 'in', places).execute();
}
