import { operationsCommands } from '@fmhl/ops/cli';
import type { Command } from 'commander';
import { readProcessConfig } from '../config.ts';
import { endWith } from './end.ts';
import { savedToken } from './saved-token.ts';

/** The commands of the operations plane: over HTTP where FMHL_URL says so, else on the database of this machine. */
export function operationCommands(program: Command): void {
  operationsCommands(program, {
    environment: () => {
      const { operationsUrl: url, operationsToken, noColour } = readProcessConfig();
      return { url, noColour, token: operationsToken ?? (url === undefined ? undefined : savedToken(url)) };
    },
    // The whole application, which who talks to a running one does not need.
    openLocal: async (operator) => (await import('./local-operations.ts')).openLocalOperations(operator),
    end: endWith,
  });
}
