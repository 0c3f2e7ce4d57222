import type { Runnable } from '@fmhl/ops';
import { type App, openApp, type ReadyConfig } from './app.ts';
import { requireDatabaseAt, requireRedisAt } from './connect-faults.ts';
import { internalListener } from './internal-listener.ts';
import { runApp } from './run-app.ts';

export interface Role {
  readonly name: string;
  /** Loads what this role runs, and nothing of the others. */
  readonly load: () => Promise<(app: App) => Runnable>;
  /** The dependencies it cannot work without. */
  readonly needs: readonly string[];
}

/** `fmhl run <role>`: one role against external servers, until a signal ends it. Answers the exit code. */
export async function runRole({ name, load, needs }: Role, config: ReadyConfig): Promise<number> {
  if (needs.includes('redis')) await requireRedisAt(config.redisUrl);
  await requireDatabaseAt(config.databaseUrl);
  const open = await load();
  const app = openApp(config, { role: name });
  await runApp(app, [
    internalListener(app, { needs, anyPort: false }),
    open(app),
    { name: 'readiness', start: async () => app.ops.health.markStarted(), stop: async () => {} },
  ]);
  return 0;
}
