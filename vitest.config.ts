import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Whole machines that are made and destroyed, and every client program there is: CI has no time for them. */
const takesLong = ['neighbours', 'systemd', 'fresh-machine', 'ssh-clients'].map((name) => `test/e2e/${name}.test.ts`);

/** Unit tests stand beside the code and run side by side; the others use the real machine and run one after the other. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/{check,chaos}/**/*.test.ts'],
          testTimeout: 20_000,
          maxWorkers: availableParallelism(), // one less by itself, which of two is half
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/{conformance,e2e}/**/*.test.ts'],
          exclude: takesLong,
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
      // `npm run test:long`: what is too long for CI.
      {
        test: {
          name: 'long',
          include: ['test/long/**/*.test.ts', ...takesLong],
          fileParallelism: false,
          testTimeout: 900_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
