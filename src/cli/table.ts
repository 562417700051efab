import { plainLine } from './plain-text.ts';

const indent = 2;
const gap = 2;
/** A column of this width is still worth reading. */
const narrow = 8;
/** And of this one it can be told from others. */
const narrowest = 2;

/** How wide tables may be: a terminal's width; without one nothing is cut, for other programs read it. */
export function tableWidth(output: { isTTY?: boolean; columns?: number }): number {
  return output.isTTY === true ? Math.max(40, output.columns ?? 80) : Number.POSITIVE_INFINITY;
}

/** A table as lines: columns as wide as they must be, the widest ones cut when the lines would not fit. Pure. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], width = 80): string[] {
  const cells = rows.map((row) => row.map(plainLine));
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)));
  let excess = widths.reduce((sum, one) => sum + one, 0) + gap * (widths.length - 1) + indent - width;
  while (excess > 0) {
    const widest = widths.indexOf(Math.max(...widths));
    const before = widths[widest] ?? 0;
    const least = before > narrow ? narrow : narrowest;
    if (before <= least) break;
    widths[widest] = before - 1;
    excess -= 1;
  }
  const cell = (text: string, column: number) => {
    const size = widths[column] ?? 0;
    return (text.length > size ? `${text.slice(0, size - 1)}…` : text).padEnd(size);
  };
  const line = (row: readonly string[]) => `${' '.repeat(indent)}${row.map(cell).join(' '.repeat(gap))}`.trimEnd();
  return [line(head.map((title) => title.toUpperCase())), ...cells.map(line)];
}
