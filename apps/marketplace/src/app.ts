import {
  armFailpoint,
  type Authorize,
  type Database,
  type Handlers,
  type Ops,
  openDatabase,
  openOps,
  type Runnable,
} from '@fmhl/ops';
import { type Config, paymentWebhookSecret } from './config.ts';
import { openAuthorizer, openPasswords } from './features/auth/index.ts';
import { setLowBalance } from './features/billing/index.ts';
import { openDistributionHandler, readSales } from './features/distribution/index.ts';
import { type MailTransport, openEmailHandler, openTransport } from './features/email/index.ts';
import { confirmToken, requeueApproved } from './features/leads/index.ts';
import { createProvider } from './features/subscriptions/index.ts';
import { bindProductMetrics } from './metrics.ts';
import { queues } from './queues.ts';
import { openSweeper } from './sweeper.ts';
import { openTelemetry, type TelemetryOptions } from './telemetry.ts';
import { version } from './version.ts';

export type App = ReturnType<typeof openApp>;

/** A configuration whose servers and key are known. */
export type ReadyConfig = Config & { databaseUrl: string; redisUrl: string; smtpUrl: string; tokenKey: string };

/** Builds everything of one process, once. Nothing runs yet, and nothing is connected. */
export function openApp(config: ReadyConfig, options: TelemetryOptions) {
  const now = () => new Date();
  const { metrics, log } = openTelemetry(config, options);
  const { role } = options;
  const poolWait = metrics.histogram('pg_pool_wait_ms');
  const db: Database = openDatabase({
    url: config.databaseUrl,
    poolSize: config.pgPoolSize,
    applicationName: `fmhl-${role}`,
    onPoolWait: (ms) => poolWait.observe(ms),
    onError: (error) =>
      log.warn('postgres_error', { error: { type: error.name, message: error.message, stack: '', code: null } }),
  });
  const authorize: Authorize = openAuthorizer({ db, now });
  const failpoint = armFailpoint(config.failpoint, (name) => log.warn('failpoint_hit', { failpoint: name }));
  const ops: Ops = openOps({
    db,
    log,
    metrics,
    authorize,
    version,
    failpoint,
    redisUrl: config.redisUrl,
    queues,
    prefix: '{fmhl}',
    jobLockMs: config.jobLockMs,
    reconcileAfterMs: config.reconcileAfterMs,
    reconcileEveryMs: config.reconcileEveryMs,
    leaseMs: config.leaseMs,
  });
  const product = bindProductMetrics(metrics);
  const passwords = openPasswords();
  let transport: MailTransport | undefined;
  const deps = { db, log, metrics: product, now };
  return {
    config,
    role,
    version,
    now,
    log,
    metrics,
    product,
    db,
    ops,
    authorize,
    passwords,
    authDeps: { ...deps, passwords, createProvider },
    leadDeps: { ...deps, tokenKey: config.tokenKey, readSales },
    subscriptionDeps: { ...deps, passwords, setLowBalance, requeueApproved },
    billingDeps: { ...deps, depositMode: config.depositMode, webhookSecret: paymentWebhookSecret(config) },
    distributionRouteDeps: { db },
    inboxDeps: deps,
    /** Who works on which queue. report_export and scheduler have no jobs yet. */
    handlers(): Handlers {
      transport ??= openTransport(config.smtpUrl);
      const tokens = (leadId: string, nonce: number) => confirmToken(config.tokenKey, { leadId, nonce });
      const email = openEmailHandler({
        db,
        log,
        transport,
        from: config.mailFrom,
        publicUrl: config.publicUrl,
        confirmToken: tokens,
      });
      const concurrency = config.workerConcurrency;
      return {
        distribute_lead: { handler: openDistributionHandler(deps), concurrency },
        email_send: { handler: email, concurrency },
      };
    },
    sweeper: (): Runnable => openSweeper({ ...deps, appMetrics: metrics }),
    /** Closes every connection, Redis before Postgres. Call after all roles have stopped. */
    async close() {
      transport?.close();
      await ops.close();
      await db.close();
    },
  };
}
