import type { Command } from 'commander';
import { openApp, type ReadyConfig } from '../app.ts';
import { readProcessConfig } from '../config.ts';
import { requireDatabase } from '../connect-faults.ts';
import { startEmbedded } from '../embedded/index.ts';
import { createFirstAdmin } from '../features/auth/index.ts';

export function userCommand(program: Command): void {
  program
    .command('user')
    .description('people who may sign in')
    .command('create-admin')
    .description(
      'make the first administrator; its password comes from FMHL_ADMIN_PASSWORD, else one is made and shown once',
    )
    .argument('<email>')
    .action(createAdmin);
}

async function createAdmin(email: string): Promise<void> {
  const config = readProcessConfig({ adminEmail: email });
  const embedded = await startEmbedded({
    dataDir: config.dataDir,
    databaseUrl: config.databaseUrl,
    redisUrl: 'unused',
    smtpUrl: 'unused',
  });
  const ready: ReadyConfig = {
    ...config,
    databaseUrl: embedded.databaseUrl,
    redisUrl: 'redis://unused',
    smtpUrl: '',
    tokenKey: '',
    logLevel: 'error',
  };
  const app = openApp(ready, { role: 'cli' });
  try {
    await requireDatabase(app.db);
    const { created, password } = await createFirstAdmin(
      app.db,
      { email, password: config.adminPassword },
      app.authDeps,
    );
    if (!created) console.log('an administrator exists already; nothing was changed');
    else
      console.log(
        password ? `${email} can sign in with the password ${password} (shown once)` : `${email} can sign in`,
      );
  } finally {
    await app.close();
    await embedded.stop();
  }
}
