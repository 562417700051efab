/** What a benchmark is, and what it says. */
export interface Measured {
  /** Of the rounds, at least three; the median counts. */
  rounds: number[];
  /** The same of peers, measured between ours in the same run. */
  peers?: Record<string, number[]>;
}

export interface Benchmark {
  name: string;
  unit: string;
  goal: { atMost: number } | { atLeast: number };
  /** Why it cannot run here; undefined where it can. */
  missing(): Promise<string | undefined>;
  measure(say: (text: string) => void): Promise<Measured>;
}

export interface Result {
  name: string;
  value: number;
  unit: string;
  goal: string;
  met: boolean;
  peers: Record<string, number>;
  /** What it was measured on, and when. */
  machine: string;
  measuredAt: string;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

export function resultOf(
  benchmark: Benchmark,
  { rounds, peers = {} }: Measured,
  on: Pick<Result, 'machine' | 'measuredAt'>,
): Result {
  const value = Number(median(rounds).toPrecision(4));
  const { goal } = benchmark;
  return {
    name: benchmark.name,
    value,
    unit: benchmark.unit,
    goal: 'atMost' in goal ? `<= ${goal.atMost}` : `>= ${goal.atLeast}`,
    met: 'atMost' in goal ? value <= goal.atMost : value >= goal.atLeast,
    peers: Object.fromEntries(
      Object.entries(peers).map(([name, values]) => [name, Number(median(values).toPrecision(4))]),
    ),
    ...on,
  };
}
