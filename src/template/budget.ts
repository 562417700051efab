/**
 * Bounds what one expansion may cost. The language can ask for work without end in a few lines (loops in loops, values
 * that double), and templates come from anybody: a small one must neither keep the process busy nor fill its memory.
 */
import type { Json } from '../core/json.ts';
import { ExpressionError } from './template-error.ts';

export interface Budget {
  /** One more step of evaluation. */
  spend(): void;
  /** Counts the characters of one text that is being made, before it takes the memory that it would. */
  text(): (more: number) => void;
  /** The value, unless it is larger, when printed, than any resource may be. Values share parts, so it can be far larger than the memory that it takes. */
  sized<T extends Json>(value: T): T;
}

const mostSteps = 2_000_000;
const largestValue = 16 * 2 ** 20;
const longestText = 1_000_000;
/** Making a text costs a step for so many characters: 128 million in one expansion. */
const charactersAStep = 64;

export function createBudget(): Budget {
  let steps = 0;
  const sizes = new WeakMap<object, number>();

  function sizeOf(value: Json): number {
    if (typeof value === 'string') return value.length + 4;
    if (typeof value !== 'object' || value === null) return 8;
    const known = sizes.get(value);
    if (known !== undefined) return known;
    let size = 4;
    if (Array.isArray(value)) for (const inner of value) size += sizeOf(inner);
    else for (const [name, inner] of Object.entries(value)) size += name.length + sizeOf(inner);
    sizes.set(value, size);
    return size;
  }

  function spend(count: number): void {
    steps += count;
    if (steps > mostSteps)
      throw new ExpressionError(`The template needs more than ${mostSteps} steps of evaluation: make it smaller`);
  }

  return {
    spend() {
      spend(1);
    },
    text() {
      let length = 0;
      return (more) => {
        length += more;
        if (length > longestText)
          throw new ExpressionError(`A text of the template grows beyond ${longestText} characters`);
        spend(more / charactersAStep);
      };
    },
    sized(value) {
      if (sizeOf(value) > largestValue)
        throw new ExpressionError(`A value of the template grows beyond ${largestValue / 2 ** 20} MB`);
      return value;
    },
  };
}
