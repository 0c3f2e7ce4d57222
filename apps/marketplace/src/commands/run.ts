import { type Command, InvalidArgumentError } from 'commander';
import type { ReadyConfig } from '../app.ts';
import { readProcessConfig } from '../config.ts';
import type { Role } from '../run-role.ts';
import { endWith } from './end.ts';

const roles: readonly Role[] = [
  { name: 'api', load: async () => (await import('../roles/api.ts')).apiRole, needs: ['database'] },
  { name: 'worker', load: async () => (await import('../roles/worker.ts')).workerRole, needs: ['database', 'redis'] },
  { name: 'relay', load: async () => (await import('../roles/relay.ts')).relayRole, needs: ['database', 'redis'] },
  {
    name: 'scheduler',
    load: async () => (await import('../roles/scheduler.ts')).schedulerRole,
    needs: ['database', 'redis'],
  },
];
const roleNames = roles.map(({ name }) => name).join(', ');

export function runCommand(program: Command): void {
  program
    .command('run')
    .description('run one role against external servers (DATABASE_URL, REDIS_URL, SMTP_URL, TOKEN_KEY)')
    .argument('<role>', roleNames, knownRole)
    .action(async (role: Role) => {
      const config = readProcessConfig({}, { require: ['databaseUrl', 'redisUrl', 'smtpUrl', 'tokenKey'] });
      // The product, which a wrong setting and the help do not need.
      const { runRole } = await import('../run-role.ts');
      endWith(await runRole(role, config as ReadyConfig));
    });
}

function knownRole(asked: string): Role {
  const role = roles.find(({ name }) => name === asked);
  if (role) return role;
  throw new InvalidArgumentError(`expected one of ${roleNames}`);
}
