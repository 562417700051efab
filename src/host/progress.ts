/** Tells on stderr what is going on: one line a step, with its time; in a terminal the running step shows its phase. */
export interface Progress {
  step<T>(title: string, work: (phase: (text: string) => void) => Promise<T>): Promise<T>;
  note(text: string): void;
}

export interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

/** Steps quicker than this are not worth a line where nobody watches. */
const worthTelling = 2_000;
const plainInterval = 10_000;

export function createProgress(output: Output, now: () => number = Date.now): Progress {
  const live = output.isTTY === true;
  const seconds = (since: number) => `${((now() - since) / 1_000).toFixed(1)} s`;

  return {
    note(text) {
      output.write(`${live ? '\r\u001b[2K' : ''}${text}\n`);
    },
    async step(title, work) {
      const started = now();
      let phase = '';
      let told = false;
      const show = () => {
        if (live) {
          const line = `  … ${title}${phase === '' ? '' : `: ${phase}`} (${seconds(started)})`;
          output.write(`\r\u001b[2K${line.slice(0, (output.columns ?? 80) - 1)}`);
        } else if (now() - started >= worthTelling) {
          output.write(`  ${told ? '…' : '→'} ${title}${phase === '' ? '' : `: ${phase}`} (${seconds(started)})\n`);
          told = true;
        }
      };
      const timer = setInterval(show, live ? 200 : plainInterval);
      const early = live ? undefined : setTimeout(show, worthTelling);
      const end = (mark: string) => {
        clearInterval(timer);
        clearTimeout(early);
        if (live) output.write('\r\u001b[2K');
        if (live || told || mark === '✗' || now() - started >= worthTelling)
          output.write(`  ${mark} ${title} (${seconds(started)})\n`);
      };
      try {
        const result = await work((text) => {
          phase = text;
          if (live) show();
        });
        end('✓');
        return result;
      } catch (error) {
        end('✗');
        throw error;
      }
    },
  };
}

/** For `--json`: says nothing. */
export const silentProgress: Progress = {
  step: (_title, work) => work(() => undefined),
  note: () => undefined,
};
