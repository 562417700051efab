/**
 * What autoscale changed last, kept with the setting. It is noted before the change and tells which generation of the scale
 * set the change makes: one that never came, whatever came between the two, blocks nothing and is told to nobody; one that
 * came blocks for its cooldown, and is told also by the next control.
 */
import { z } from 'zod';
import type { ResourceId } from '../core/resource-id.ts';
import { readScaleSet } from '../providers/compute/scale-set-model.ts';
import { findResource, saveResource, type ResourceRecord } from '../store/resource-records.ts';
import type { Queries } from '../store/store.ts';

const noteSchema = z.object({
  at: z.number(),
  direction: z.enum(['out', 'in']),
  from: z.number(),
  to: z.number(),
  because: z.enum(['bounds', 'default', 'rules']),
  /** The count that was asked for; more stay where it would have brought the pool out again. */
  intended: z.number(),
  cooldownMilliseconds: z.number(),
  profile: z.string(),
  /** One sentence: what, and why. */
  message: z.string(),
  /** Of the scale set, which could be another of the same name. */
  createdAt: z.number(),
  /** The generation of the scale set that the change makes. */
  generation: z.number(),
  /** The activity log has it. */
  told: z.boolean(),
});
export type ScaleNote = z.infer<typeof noteSchema>;

/** The newest last. */
const notesOf = ({ found }: Pick<ResourceRecord, 'found'>): ScaleNote[] =>
  z
    .array(noteSchema)
    .catch([])
    .parse(found['$lastScale'] ?? []);

/** Whether the change was made. Had somebody else made this generation, the capacity would be theirs. */
const came = (note: ScaleNote, set: ResourceRecord): boolean =>
  note.createdAt === set.createdAt &&
  (note.generation < set.generation ||
    (note.generation === set.generation && note.to === readScaleSet(set.document).capacity));

/** The last change that was made for a rule: its cooldown counts. */
export function lastRuleScale(setting: ResourceRecord, set: ResourceRecord): ScaleNote | undefined {
  return notesOf(setting).findLast((note) => note.because === 'rules' && came(note, set));
}

/** The last change that was made and not told yet. */
export function untoldScale(setting: ResourceRecord, set: ResourceRecord): ScaleNote | undefined {
  return notesOf(setting).findLast((note) => !note.told && came(note, set));
}

/** A change that was noted and never made: the control that was about to make it has ended. */
export function unmadeScale(setting: ResourceRecord, set: ResourceRecord): ScaleNote | undefined {
  return notesOf(setting).find((note) => !came(note, set));
}

/** Notes a change that is about to be made. False where the setting has been changed or deleted meanwhile. */
export async function noteScale(
  tx: Queries,
  setting: ResourceRecord,
  set: ResourceRecord,
  note: ScaleNote,
): Promise<boolean> {
  const current = await findResource(tx, setting.id);
  if (current?.generation !== setting.generation) return false;
  const before = lastRuleScale(current, set);
  await saveNotes(tx, current, [...(before === undefined ? [] : [before]), note]);
  return true;
}

/** The change was not made: its note goes. */
export async function forgetScale(tx: Queries, settingId: ResourceId, note: ScaleNote): Promise<void> {
  await changeNotes(tx, settingId, (notes) =>
    notes.filter((one) => one.at !== note.at || one.generation !== note.generation),
  );
}

/** The activity log has it. */
export async function markTold(tx: Queries, settingId: ResourceId, note: ScaleNote): Promise<void> {
  await changeNotes(tx, settingId, (notes) =>
    notes.map((one) => (one.at === note.at && one.generation === note.generation ? { ...one, told: true } : one)),
  );
}

async function changeNotes(
  tx: Queries,
  settingId: ResourceId,
  change: (notes: ScaleNote[]) => ScaleNote[],
): Promise<void> {
  const current = await findResource(tx, settingId);
  if (current !== undefined) await saveNotes(tx, current, change(notesOf(current)));
}

async function saveNotes(tx: Queries, setting: ResourceRecord, notes: readonly ScaleNote[]): Promise<void> {
  await saveResource(tx, { ...setting, found: { ...setting.found, $lastScale: notes.map((note) => ({ ...note })) } });
}
