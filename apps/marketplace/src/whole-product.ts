import { openMigrator, type Runnable } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { type App, openApp } from './app.ts';
import { anchorIn } from './audit-anchor.ts';
import { type Config, publicUrlOf, publicUrlWith } from './config.ts';
import { requireDatabaseAt, requireRedisAt } from './connect-faults.ts';
import { actingAs, grantRoles } from './database-roles.ts';
import { type Embedded, tokenKey } from './embedded/index.ts';
import { mailboxRoutes } from './mailbox-routes.ts';
import { createFirstAdmin } from './features/auth/index.ts';
import { internalListener } from './internal-listener.ts';
import { migrationSets } from './migrations.ts';
import { apiRole } from './roles/api.ts';
import { relayRole } from './roles/relay.ts';
import { schedulerRole } from './roles/scheduler.ts';
import { workerRole } from './roles/worker.ts';
import { openDemoSwitches } from './simulator/live/demo-switches.ts';
import { openDemoTraffic } from './simulator/live/demo-traffic.ts';
import { type DemoSignIn, seedDemoWorld } from './simulator/demo-world.ts';
import { summary } from './summary.ts';

/** The first administrator of a start that names none. */
const defaultAdminEmail = 'admin@fmhl.example.com';

export { runApp } from './run-app.ts';

/** The product on these servers, its database migrated. */
export async function openMigrated(config: Config, embedded: Embedded): Promise<App> {
  const { redisUrl, smtpUrl } = embedded;
  await requireDatabaseAt(embedded.databaseUrl);
  await requireRedisAt(redisUrl);
  await openMigrator({ url: embedded.databaseUrl, sets: migrationSets }).up();
  const databaseUrl = await restricted(config, embedded);
  const key = config.tokenKey ?? tokenKey(config.dataDir);
  const auditAnchor = config.auditAnchor ?? anchorIn(config.dataDir);
  const app = openApp({ ...config, databaseUrl, redisUrl, smtpUrl, tokenKey: key, auditAnchor }, { role: 'all' });
  return app;
}

/** Our own server is used with the rights of the application, which cannot rewrite ledger or audit log; for another one its owner decides. */
async function restricted(config: Config, { databaseUrl }: Embedded): Promise<string> {
  if (config.databaseUrl !== undefined) return databaseUrl;
  await grantRoles(databaseUrl);
  return actingAs(databaseUrl, 'fmhl_app');
}

/** All that runs in one process, in the order of its start. */
export function partsOf(app: App, embedded: Embedded): Runnable[] {
  const { mailbox } = embedded;
  const api = apiRole(app, {
    ...(mailbox && {
      extend: async (server: FastifyInstance) =>
        server.register(mailboxRoutes(mailbox, app.config.metricsAllowedNetworks, app.config.metricsAllowedHosts)),
    }),
    pages: mailbox ? [{ href: '/mailbox', text: 'every mail that was sent' }] : [],
  });
  const metrics = internalListener(app, { needs: ['database', 'redis'], anyPort: true });
  const opening: Runnable = {
    name: 'opening',
    start: () => openDoors(app, { embedded, api, metrics }),
    async stop() {},
  };
  const worker = switchable('worker', () => workerRole(app, { publicUrl: publicUrlWith(app.config, api.port) }));
  const scheduler = switchable('scheduler', () => schedulerRole(app));
  const url = () => publicUrlOf({ host: app.config.host, port: api.port });
  const demo = openDemoSwitches(app, { embedded, worker, scheduler, url });
  const traffic = openDemoTraffic(app, { embedded, url });
  return [metrics, api, worker, relayRole(app), scheduler, demo, opening, traffic];
}

/** A part that is made when it starts, since it depends on what those before it find out, and anew each time it is switched on. */
function switchable(name: string, make: () => Runnable): Runnable & { readonly isOn: boolean } {
  let part: Runnable | undefined;
  return {
    name,
    get isOn() {
      return part !== undefined;
    },
    start: () => (part ??= make()).start(),
    async stop() {
      const running = part;
      part = undefined;
      await running?.stop();
    },
  };
}

/**
 * Makes the demo world and the first admin, and says that all is ready. After all else has started: passwords that are shown
 * once must not be made by a start that then fails, on a port in use for one.
 */
async function openDoors(
  app: App,
  at: { embedded: Embedded; api: { port: number }; metrics: { port: number } },
): Promise<void> {
  const { config } = app;
  const email = config.adminEmail ?? defaultAdminEmail;
  const provider = config.empty ? undefined : await firstWorld(app);
  const { adminPassword: password, adminTotpSecret: totpSecret } = config;
  const admin = await createFirstAdmin(app.db, { email, password, totpSecret }, app.authDeps);
  const url = publicUrlOf({ host: config.host, port: at.api.port });
  const metricsUrl = publicUrlOf({ host: config.metricsHost, port: at.metrics.port });
  const { mailbox, dataLives } = at.embedded;
  const people = { email, admin: { ...admin, isProvisioned: totpSecret !== undefined }, provider };
  const places = { url, metricsUrl, metricsPort: at.metrics.port, mailbox: mailbox !== undefined, dataLives };
  console.error(summary({ ...people, ...places, config }));
  app.ops.health.markStarted();
  console.log(`fmhl is ready at ${url}`);
}

/** Who can sign in as a provider of the world that this start made; undefined where there was one. */
async function firstWorld(app: App): Promise<DemoSignIn | undefined> {
  if (app.config.profile === 'demo') return seedDemoWorld(app);
  const { NotEmpty, seedWorld } = await import('./simulator/seed-world.ts');
  return seedWorld({ profile: app.config.profile, seed: 42, days: 30, now: app.now() }, app).catch((error: unknown) => {
    if (error instanceof NotEmpty) return undefined;
    throw error;
  });
}
