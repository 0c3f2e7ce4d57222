import { defineConfig } from 'vitest/config';

const everywhere = ['**/node_modules/**', '**/dist/**', 'checks/fixtures/**'];

// Files of one worker share their modules (`isolate: false`): the sources keep no state outside of what a test opens, and loading them
// anew for each file took two thirds of the fast tests' time.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          include: ['**/*.test.ts', 'scripts/*.test.mjs'],
          exclude: [...everywhere, '**/*.db.test.ts'],
          isolate: false,
          testTimeout: 10_000,
        },
      },
      {
        test: {
          name: 'db',
          include: ['**/*.db.test.ts'],
          exclude: everywhere,
          globalSetup: './testing/servers.ts',
          // Each file has a database and a key prefix of its own; two at a time keep a small machine's deadlines honest.
          fileParallelism: true,
          maxWorkers: 2,
          isolate: false,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
