/** A table as lines: columns as wide as they must be, the widest one cut when the line would not fit. Pure. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], width = 80): string[] {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const gap = 2;
  let excess = widths.reduce((sum, one) => sum + one, 0) + gap * (widths.length - 1) + gap - width;
  while (excess > 0) {
    const widest = widths.indexOf(Math.max(...widths));
    const before = widths[widest] ?? 0;
    if (before <= 8) break;
    widths[widest] = before - 1;
    excess -= 1;
  }
  const cell = (text: string, column: number) => {
    const size = widths[column] ?? 0;
    return (text.length > size ? `${text.slice(0, size - 1)}…` : text).padEnd(size);
  };
  const line = (row: readonly string[]) => `  ${row.map(cell).join(' '.repeat(gap))}`.trimEnd();
  return [line(head.map((title) => title.toUpperCase())), ...rows.map(line)];
}
