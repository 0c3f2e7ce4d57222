import { type MigrationState, openMigrator, type Runnable } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { type App, openApp, type ReadyConfig } from './app.ts';
import { type Config, publicUrlOf } from './config.ts';
import { requireDatabase } from './connect-faults.ts';
import { type Embedded, mailboxRoutes, startEmbedded, tokenKey } from './embedded/index.ts';
import { createFirstAdmin } from './features/auth/index.ts';
import { internalListener } from './internal-listener.ts';
import { migrationSets } from './migrations.ts';
import { apiRole } from './roles/api.ts';
import { relayRole } from './roles/relay.ts';
import { schedulerRole } from './roles/scheduler.ts';
import { workerRole } from './roles/worker.ts';
import { runApp } from './run-app.ts';
import { seedDemoWorld } from './simulator/demo-world.ts';
import { summary } from './summary.ts';

/** The first administrator of a start that names none. */
const defaultAdminEmail = 'admin@fmhl.example.com';

/** `fmhl up`: the whole product in one process, on embedded servers where none are given. Answers the exit code. */
export async function up(config: Config): Promise<number> {
  const embedded = await startEmbedded(config);
  try {
    const ready: ReadyConfig = {
      ...config,
      ...serversOf(embedded),
      tokenKey: config.tokenKey ?? tokenKey(config.dataDir),
    };
    await migrate(ready.databaseUrl);
    return await serve(openApp(ready, { role: 'all' }), embedded);
  } catch (error) {
    await embedded.stop();
    throw error;
  }
}

function serversOf({ databaseUrl, redisUrl, smtpUrl }: Embedded) {
  return { databaseUrl, redisUrl, smtpUrl };
}

async function migrate(url: string): Promise<MigrationState[]> {
  return openMigrator({ url, sets: migrationSets }).up();
}

async function serve(app: App, embedded: Embedded): Promise<number> {
  await requireDatabase(app.db);
  const { config, log } = app;
  log.info('process_started', { role: app.role, pid: process.pid });
  const email = config.adminEmail ?? defaultAdminEmail;
  const admin = await createFirstAdmin(app.db, { email, password: config.adminPassword }, app.authDeps);
  const provider = config.empty ? undefined : await seedDemoWorld(app);
  const { mailbox } = embedded;
  const api = apiRole(app, {
    ...(mailbox && {
      extend: async (server: FastifyInstance) => {
        await server.register(mailboxRoutes(mailbox));
      },
    }),
    pages: mailbox ? [{ href: '/mailbox', text: 'every mail that was sent' }] : [],
  });
  const metrics = internalListener(app, { needs: ['database', 'redis'], anyPort: true });
  const announce: Runnable = {
    name: 'announcement',
    async start() {
      app.ops.health.markStarted();
      const url = publicUrlOf({ host: config.host, port: api.port });
      const metricsUrl = publicUrlOf({ host: config.metricsHost, port: metrics.port });
      console.error(
        summary({
          url,
          metricsUrl,
          email,
          admin,
          provider,
          mailbox: mailbox !== undefined,
          dataLives: embedded.dataLives,
          config,
          metricsPort: metrics.port,
        }),
      );
      console.log(`fmhl is ready at ${url}`);
    },
    async stop() {},
  };
  await runApp(app, [metrics, api, workerRole(app), relayRole(app), schedulerRole(app), announce]);
  await embedded.stop();
  return 0;
}
