import { join } from 'node:path';
import { localOperator, openLocalClient, type OperationsClient } from '@fmhl/ops/cli';
import { openApp } from '../app.ts';
import { anchorIn } from '../audit-anchor.ts';
import { readProcessConfig } from '../config.ts';
import { findServers, madeTokenKey } from '../embedded/index.ts';
import { requireMigrated } from './migrated.ts';

/** The operations API on the servers of this machine, for the person of that name. Throws a `ConfigError` where there are none. */
export async function openLocalOperations(operator: string): Promise<OperationsClient> {
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
