import type { Runnable } from '@fmhl/ops';
import { type Command, InvalidArgumentError } from 'commander';
import { type App, openApp, type ReadyConfig } from '../app.ts';
import { readProcessConfig } from '../config.ts';
import { requireDatabaseAt, requireRedisAt } from '../connect-faults.ts';
import { internalListener } from '../internal-listener.ts';
import { apiRole } from '../roles/api.ts';
import { relayRole } from '../roles/relay.ts';
import { schedulerRole } from '../roles/scheduler.ts';
import { workerRole } from '../roles/worker.ts';
import { runApp } from '../run-app.ts';
import { endWith } from './end.ts';

/** What each role runs, and which dependencies it cannot work without. */
const roles: Record<string, { open: (app: App) => Runnable; needs: readonly string[] }> = {
  api: { open: apiRole, needs: ['database'] },
  worker: { open: workerRole, needs: ['database', 'redis'] },
  relay: { open: relayRole, needs: ['database', 'redis'] },
  scheduler: { open: schedulerRole, needs: ['database', 'redis'] },
};

export function runCommand(program: Command): void {
  program
    .command('run')
    .description('run one role against external servers (DATABASE_URL, REDIS_URL, SMTP_URL, TOKEN_KEY)')
    .argument('<role>', Object.keys(roles).join(', '), knownRole)
    .action(async (role: string) => {
      const config = readProcessConfig({}, { require: ['databaseUrl', 'redisUrl', 'smtpUrl', 'tokenKey'] });
      endWith(await runRole(role, config as ReadyConfig));
    });
}

function knownRole(role: string): string {
  if (Object.hasOwn(roles, role)) return role;
  throw new InvalidArgumentError(`expected one of ${Object.keys(roles).join(', ')}`);
}

async function runRole(name: string, config: ReadyConfig): Promise<number> {
  const role = roles[name];
  if (!role) throw new InvalidArgumentError(name);
  if (role.needs.includes('redis')) await requireRedisAt(config.redisUrl);
  await requireDatabaseAt(config.databaseUrl);
  const app = openApp(config, { role: name });
  const parts = [internalListener(app, { needs: role.needs, anyPort: false }), role.open(app)];
  await runApp(app, [
    ...parts,
    { name: 'readiness', start: async () => app.ops.health.markStarted(), stop: async () => {} },
  ]);
  return 0;
}
