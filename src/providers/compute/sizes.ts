/**
 * What the usual sizes mean: CPUs and memory, from Azure's size pages
 * (https://learn.microsoft.com/azure/virtual-machines/sizes/overview). Families are written as rules where their
 * members follow one: `D` sizes have 4 GiB a CPU, `E` sizes 8, `F` sizes 2.
 */
import { PoolhouseError } from '../../core/errors.ts';

export interface Size {
  name: string;
  cpus: number;
  memoryGiB: number;
}

/** A family: how its names are made of the number of CPUs, and its members as CPUs → GiB. */
interface Family {
  name(cpus: number): string;
  members: readonly (readonly [cpus: number, memoryGiB: number])[];
}

const perCpu = (gib: number, cpus: readonly number[]) => cpus.map((count) => [count, count * gib] as const);

const families: readonly Family[] = [
  ...['D#_v3', 'D#s_v3'].map((pattern) => family(pattern, perCpu(4, [2, 4, 8, 16, 32, 48, 64]))),
  ...[
    'D#_v4',
    'D#s_v4',
    'D#a_v4',
    'D#as_v4',
    'D#_v5',
    'D#s_v5',
    'D#as_v5',
    'D#ds_v4',
    'D#ds_v5',
    'D#ads_v5',
    'D#d_v4',
    'D#d_v5',
    'D#s_v6',
    'D#as_v6',
  ].map((pattern) => family(pattern, perCpu(4, [2, 4, 8, 16, 32, 48, 64, 96]))),
  ...[
    'E#_v3',
    'E#s_v3',
    'E#_v4',
    'E#s_v4',
    'E#as_v4',
    'E#a_v4',
    'E#_v5',
    'E#s_v5',
    'E#as_v5',
    'E#ds_v4',
    'E#ds_v5',
    'E#ads_v5',
  ].map((pattern) => family(pattern, perCpu(8, [2, 4, 8, 16, 20, 32, 48, 64]))),
  ...['F#', 'F#s'].map((pattern) => family(pattern, perCpu(2, [1, 2, 4, 8, 16]))),
  family('F#s_v2', perCpu(2, [2, 4, 8, 16, 32, 48, 64, 72])),
  ...['A#_v2'].map((pattern) => family(pattern, perCpu(2, [1, 2, 4, 8]))),
  family('A#m_v2', perCpu(8, [2, 4, 8])),
  ...['NC#s_v3'].map((pattern) =>
    family(pattern, [
      [6, 112],
      [12, 224],
      [24, 448],
    ]),
  ),
  family('NC#as_T4_v3', [
    [4, 28],
    [8, 56],
    [16, 110],
    [64, 440],
  ]),
];

function family(pattern: string, members: Family['members']): Family {
  return { name: (cpus) => `Standard_${pattern.replace('#', String(cpus))}`, members };
}

/** Sizes whose names do not follow from their CPUs. */
const singles: readonly (readonly [name: string, cpus: number, memoryGiB: number])[] = [
  ['Standard_A0', 1, 0.75],
  ['Standard_A1', 1, 1.75],
  ['Standard_A2', 2, 3.5],
  ['Standard_A3', 4, 7],
  ['Standard_A4', 8, 14],
  ['Standard_B1ls', 1, 0.5],
  ['Standard_B1s', 1, 1],
  ['Standard_B1ms', 1, 2],
  ['Standard_B2s', 2, 4],
  ['Standard_B2ms', 2, 8],
  ['Standard_B4ms', 4, 16],
  ['Standard_B8ms', 8, 32],
  ['Standard_B12ms', 12, 48],
  ['Standard_B16ms', 16, 64],
  ['Standard_B20ms', 20, 80],
  ['Standard_B2ts_v2', 2, 1],
  ['Standard_B2ls_v2', 2, 4],
  ['Standard_B2s_v2', 2, 8],
  ['Standard_B4ls_v2', 4, 8],
  ['Standard_B4s_v2', 4, 16],
  ['Standard_D1', 1, 3.5],
  ['Standard_D2', 2, 7],
  ['Standard_D3', 4, 14],
  ['Standard_D4', 8, 28],
  ['Standard_D11', 2, 14],
  ['Standard_D12', 4, 28],
  ['Standard_D13', 8, 56],
  ['Standard_D14', 16, 112],
  ['Standard_D1_v2', 1, 3.5],
  ['Standard_D2_v2', 2, 7],
  ['Standard_D3_v2', 4, 14],
  ['Standard_D4_v2', 8, 28],
  ['Standard_D5_v2', 16, 56],
  ['Standard_D11_v2', 2, 14],
  ['Standard_D12_v2', 4, 28],
  ['Standard_D13_v2', 8, 56],
  ['Standard_D14_v2', 16, 112],
  ['Standard_D15_v2', 20, 140],
  ['Standard_DS1', 1, 3.5],
  ['Standard_DS2', 2, 7],
  ['Standard_DS3', 4, 14],
  ['Standard_DS4', 8, 28],
  ['Standard_DS1_v2', 1, 3.5],
  ['Standard_DS2_v2', 2, 7],
  ['Standard_DS3_v2', 4, 14],
  ['Standard_DS4_v2', 8, 28],
  ['Standard_DS5_v2', 16, 56],
  ['Standard_DS11_v2', 2, 14],
  ['Standard_DS12_v2', 4, 28],
  ['Standard_DS13_v2', 8, 56],
  ['Standard_DS14_v2', 16, 112],
  ['Standard_DS15_v2', 20, 140],
  ['Standard_NC6', 6, 56],
  ['Standard_NC12', 12, 112],
  ['Standard_NC24', 24, 224],
];

const sizes: ReadonlyMap<string, Size> = new Map(
  [
    ...singles.map(([name, cpus, memoryGiB]) => ({ name, cpus, memoryGiB })),
    ...families.flatMap((one) => one.members.map(([cpus, memoryGiB]) => ({ name: one.name(cpus), cpus, memoryGiB }))),
  ].map((size) => [size.name.toLowerCase(), size]),
);

/** The size of that name, in any case; `InvalidParameter` naming near ones where there is none. */
export function sizeOf(name: string): Size {
  const size = sizes.get(name.toLowerCase());
  if (size !== undefined) return size;
  const near = [...sizes.values()]
    .map((candidate) => ({ candidate, shared: sharedPrefix(candidate.name.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => b.shared - a.shared || a.candidate.memoryGiB - b.candidate.memoryGiB)
    .slice(0, 6)
    .map(({ candidate }) => `${candidate.name} (${candidate.cpus} CPU, ${candidate.memoryGiB} GiB)`);
  throw new PoolhouseError(
    'InvalidParameter',
    `The value ${name.slice(0, 80)} provided for the VM size is not valid. Near ones that are known here: ${near.join(', ')}.`,
    { target: 'sku.name' },
  );
}

/** All sizes, for lists. */
export function allSizes(): Size[] {
  return [...sizes.values()];
}

function sharedPrefix(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length += 1;
  return length;
}
