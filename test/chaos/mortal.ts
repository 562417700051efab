/**
 * A process that can be killed at any step it takes in the world: each statement to the store, and each call to the
 * engine, before it is made and before its answer is heard. From then on it does nothing any more, as after `kill -9`.
 */
import { SqliteDialect, type SqliteDatabase } from 'kysely';
import type { Engine } from '../../src/engines/engine.ts';
import { openSqlite } from '../../src/store/sqlite-dialect.ts';

export class Killed extends Error {
  override readonly name = 'Killed';
}

export class Life {
  /** Steps taken so far. */
  steps = 0;
  #last: number;
  readonly #onDeath: (() => void)[] = [];

  /** @param last the step that it dies at; endless without */
  constructor(last = Number.POSITIVE_INFINITY) {
    this.#last = last;
  }

  get isOver(): boolean {
    return this.steps >= this.#last;
  }

  step(): void {
    if (this.isOver) throw new Killed();
    this.steps += 1;
    if (this.steps < this.#last) return;
    for (const end of this.#onDeath) end();
    throw new Killed();
  }

  /** Ends it here, if it has not ended. */
  end(): void {
    if (this.isOver) return;
    this.#last = this.steps;
    for (const end of this.#onDeath) end();
  }

  onDeath(end: () => void): void {
    this.#onDeath.push(end);
  }
}

/** The way to a store that lasts as long as the life does: what was not committed by then is gone. */
export function mortalDialect(life: Life): (file: string) => SqliteDialect {
  return (file) =>
    new SqliteDialect({
      database: () => {
        const database = openSqlite(file);
        let isOpen = true;
        const close = () => {
          if (isOpen) database.close();
          isOpen = false;
        };
        life.onDeath(close);
        const mortal: SqliteDatabase = {
          close,
          prepare(sql) {
            life.step();
            return database.prepare(sql);
          },
        };
        return Promise.resolve(mortal);
      },
    });
}

/** The engine as a process sees it that may die before a call or before it hears the answer. */
export function mortalEngine(engine: Engine, life: Life): Engine {
  return new Proxy(engine, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver);
      if (typeof value !== 'function' || name === 'capabilities' || name === 'network') return value;
      return async (...args: unknown[]) => {
        life.step();
        const result: unknown = await Reflect.apply(value, target, args);
        life.step();
        return result;
      };
    },
  });
}
