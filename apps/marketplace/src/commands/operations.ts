import { join } from 'node:path';
import { localOperator, openLocalClient, operationsCommands, type OperationsClient } from '@fmhl/ops';
import type { Command } from 'commander';
import { openApp } from '../app.ts';
import { readProcessConfig } from '../config.ts';
import { anchorIn } from '../audit-anchor.ts';
import { findServers, madeTokenKey } from '../embedded/index.ts';
import { endWith } from './end.ts';
import { requireMigrated } from './migrated.ts';
import { savedToken } from './saved-token.ts';

/** `fmhl dlq`, `queue`, `job`, `redrive` and `audit`: over HTTP where FMHL_URL says so, else on the database of this machine. */
export function operationCommands(program: Command): void {
  operationsCommands(program, {
    environment: () => {
      const { operationsUrl: url, operationsToken, noColour } = readProcessConfig();
      return { url, noColour, token: operationsToken ?? (url === undefined ? undefined : savedToken(url)) };
    },
    openLocal,
    end: endWith,
  });
}

async function openLocal(operator: string): Promise<OperationsClient> {
  const config = readProcessConfig();
  const servers = await findServers(config);
  try {
    const { databaseUrl, redisUrl } = servers;
    await requireMigrated(databaseUrl);
    // The data directory speaks of its own database, of no other.
    const isOwn = config.databaseUrl === undefined;
    const tokenKey = config.tokenKey ?? (isOwn ? madeTokenKey(join(config.dataDir, 'token.key')) : undefined) ?? '';
    const auditAnchor = config.auditAnchor ?? (isOwn ? anchorIn(config.dataDir) : undefined);
    const given = { databaseUrl, redisUrl, smtpUrl: '', tokenKey, auditAnchor };
    const ready = { ...config, ...given, logLevel: 'error' } as const;
    const app = openApp(ready, { role: 'cli', authorize: localOperator(operator), logTo: process.stderr });
    const close = async () => {
      await app.close();
      await servers.stop();
    };
    return await openLocalClient({ http: app.ops.http, close });
  } catch (error) {
    await servers.stop();
    throw error;
  }
}
