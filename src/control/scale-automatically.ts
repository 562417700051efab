/**
 * Changes of a scale set's capacity that no operator has asked for: by autoscale, and by waking. Such a change is noted with
 * the scale set: the plan then protects instances where somebody works, and the operator's own number is remembered. Once an
 * operator has asked for another number, the note counts for nothing.
 */
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';
import type { Json } from '../core/json.ts';
import { readScaleSet } from '../providers/compute/scale-set-model.ts';
import { findResource, saveResource, type ResourceRecord } from '../store/resource-records.ts';
import type { World } from './world.ts';

const noteSchema = z.object({
  by: z.enum(['autoscale', 'wake']),
  from: z.number(),
  to: z.number(),
  /** The operator's own number, whatever has been done since. */
  operators: z.number(),
  /** The generation of the scale set that the change makes. */
  generation: z.number(),
  /** When it was made; notes of an older program do not tell. */
  at: z.number().default(0),
});
export type AutomaticChange = z.infer<typeof noteSchema>;

/** The newest last: one before it still counts where the change did not come. */
const notesOf = ({ found }: Pick<ResourceRecord, 'found'>): AutomaticChange[] =>
  z
    .array(noteSchema)
    .catch([])
    .parse(found['$automatic'] ?? []);

/** The automatic change that the present capacity comes from; undefined where it is an operator's own number. */
export function automaticChange(set: ResourceRecord): AutomaticChange | undefined {
  const { capacity } = readScaleSet(set.document);
  return notesOf(set).findLast((note) => note.generation <= set.generation && note.to === capacity);
}

/** The number that the operator chose, whatever has been done since. */
export function operatorsCapacity(set: ResourceRecord): number {
  return automaticChange(set)?.operators ?? readScaleSet(set.document).capacity;
}

/**
 * Changes the capacity. False where somebody else has changed the scale set meanwhile: the next pass looks again. Fails as a
 * PUT does, `AllocationFailed` say, and then nothing is changed.
 */
export async function scaleAutomatically(
  { store, service, clock }: Pick<World, 'store' | 'service' | 'clock'>,
  set: ResourceRecord,
  capacity: number,
  by: AutomaticChange['by'],
): Promise<boolean> {
  const before = automaticChange(set);
  // Noted first: a change that comes is never taken for an operator's, whatever happens between the two.
  const note: AutomaticChange = {
    by,
    from: readScaleSet(set.document).capacity,
    to: capacity,
    operators: operatorsCapacity(set),
    generation: set.generation + 1,
    at: clock.now(),
  };
  const notes: Json = [...(before === undefined ? [] : [before]), note];
  const isNoted = await store.transaction(async (tx) => {
    const current = await findResource(tx, set.id);
    if (current?.generation !== set.generation) return false;
    await saveResource(tx, { ...current, found: { ...current.found, $automatic: notes } });
    return true;
  });
  if (!isNoted) return false;
  try {
    await service.patch(set.id, { sku: { capacity } }, { ifMatch: set.etag });
    return true;
  } catch (error) {
    if (error instanceof PoolhouseError && error.code === 'PreconditionFailed') return false;
    throw error;
  }
}

/** Forgets notes of a number that an operator has changed since. */
export async function forgetAutomaticChange({ store }: Pick<World, 'store'>, set: ResourceRecord): Promise<void> {
  if (set.found['$automatic'] === undefined || automaticChange(set) !== undefined) return;
  if (notesOf(set).some((note) => note.generation > set.generation)) return; // under way
  await store.transaction(async (tx) => {
    const current = await findResource(tx, set.id);
    if (current?.generation !== set.generation) return;
    const { $automatic: _note, ...found } = current.found;
    await saveResource(tx, { ...current, found });
  });
}
