import {
  armFailpoint,
  type Authorize,
  type Database,
  connectRedis,
  diskPart,
  type Handlers,
  openDatabase,
  openOps,
  type Ops,
  type OpsOptions,
  type Runnable,
  type Tx,
} from '@fmhl/ops';
import { noAnchor } from './audit-anchor.ts';
import type { Config } from './config.ts';
import { authorizeToken, endAccess, mailedToken, mailVerification } from './features/accounts/index.ts';
import { openAuthorizer, openPasswords } from './features/auth/index.ts';
import { eraseNotes } from './features/bad-leads/index.ts';
import { setLowBalance, watchMoney } from './features/billing/index.ts';
import { openDistributionHandler, readSales } from './features/distribution/index.ts';
import { type EmailHandlerDeps, type MailTransport, openEmailHandler, openTransport } from './features/email/index.ts';
import { eraseReasons } from './features/inbox/index.ts';
import { confirmToken, eraseToken, requeueApproved } from './features/leads/index.ts';
import { openExportHandler } from './features/reports/index.ts';
import { relyingPartyOf } from './features/second-factor/index.ts';
import {
  activateProvider,
  createProvider,
  reinstateProvider,
  suspendProvider,
} from './features/subscriptions/index.ts';
import { type FileStore, openFileStore } from './file-store/index.ts';
import { invariants } from './invariants.ts';
import { auditPurpose, type Keys, openKeys } from './keys.ts';
import type { Log } from './log.ts';
import { bindProductMetrics, type ProductMetrics } from './metrics.ts';
import { migrationSets } from './migrations.ts';
import { emailQueue, queues } from './queues.ts';
import { Limiter, type LimiterOptions, quotasOf, type RequestLimits } from './request-limits/index.ts';
import { schedules } from './schedules.ts';
import { openSweeper } from './sweeper.ts';
import { openTelemetry, type Telemetry, type TelemetryOptions } from './telemetry.ts';
import { version } from './version.ts';

/** First part of every Redis key, in braces so that a cluster keeps all on one node. */
const prefix = '{fmhl}';

export type App = ReturnType<typeof openApp>;

/** A configuration whose servers and key are known. */
export type ReadyConfig = Config & { databaseUrl: string; redisUrl: string; smtpUrl: string; tokenKey: string };

export interface AppOptions extends TelemetryOptions {
  /** Who asks, where that is not decided by sessions: the person at a command. */
  readonly authorize?: Authorize;
}

/** Builds everything of one process, once. Nothing runs yet, and nothing is connected. */
export function openApp(config: ReadyConfig, options: AppOptions) {
  const { role } = options;
  const now = () => new Date();
  const telemetry = openTelemetry(config, options);
  const { log, metrics } = telemetry;
  const db = openAppDatabase(config, role, telemetry);
  const authorize = options.authorize ?? openAppAuthorizer(config, { db, now });
  const keys = openKeys({ tokenKey: config.tokenKey, previousTokenKey: config.previousTokenKey });
  const auditKeys = config.tokenKey ? keys.derive(auditPurpose) : [];
  const deps = { db, log, metrics: bindProductMetrics(metrics), now };
  const failpoint = armFailpoint(config.failpoint, (name) => log.warn('failpoint_hit', { failpoint: name }));
  const timetable = schedules(config, { ...deps, plane: () => ops });
  const ops: Ops = openPlane(config, telemetry, { db, authorize, role, auditKeys, schedules: timetable, failpoint });
  // The relay hands jobs over, and may read nothing of the marketplace.
  if (role !== 'relay') watchMoney({ db, metrics });
  const files = openFileStore(config);
  let transport: MailTransport | undefined;
  let limits: RequestLimits | undefined;
  return {
    config,
    role,
    now,
    log,
    metrics,
    db,
    ops,
    authorize,
    keys,
    version,
    ...routeDeps(config, { ...deps, keys, files }),
    /** Who works on which queue. Links in mails begin with `publicUrl`. */
    handlers({ publicUrl = config.publicUrl }: { publicUrl?: string } = {}): Handlers {
      transport ??= openTransport(config.smtpUrl);
      const mail = { ...deps, failpoint, transport, from: config.mailFrom, publicUrl, ...linkTokens(keys) };
      const concurrency = config.workerConcurrency;
      return {
        distribute_lead: { handler: openDistributionHandler(deps), concurrency },
        // A mail waits for its server and for commits to share most of its time, and takes next to none of this process.
        email_send: { handler: openEmailHandler(mail), concurrency: concurrency * 2 },
        // Each reads a page at a time, without a pause: more of them at once only take the database from others.
        report_export: { handler: openExportHandler({ ...deps, files }), concurrency: Math.min(concurrency, 2) },
      };
    },
    sweeper: (): Runnable => openSweeper({ ...deps, files, appMetrics: metrics }),
    /** How often who may ask. Connects to Redis: only what serves HTTP wants them. */
    requestLimits(): RequestLimits {
      return (limits ??= openRequestLimits(config, { log, keys, metrics: deps.metrics }));
    },
    /** Closes every connection, Redis before Postgres. Call after all roles have stopped. */
    async close() {
      transport?.close();
      limits?.limiter.close();
      await ops.close();
      await db.close();
    },
  };
}

/** What the routes of each feature need. */
function routeDeps(config: ReadyConfig, { keys, files, ...deps }: RouteParts) {
  const passwords = openPasswords();
  const signIn = { ...deps, keys, passwords, relyingParty: relyingPartyOf(config.publicUrl) };
  return {
    authDeps: { ...signIn, createProvider, mailVerification },
    accountDeps: { ...signIn, activateProvider, suspendProvider, reinstateProvider },
    leadDeps: { ...deps, keys, readSales, eraseBeside },
    subscriptionDeps: { ...deps, passwords, setLowBalance, requeueApproved, endAccess },
    billingDeps: { ...deps, depositMode: config.depositMode, webhookSecrets: webhookSecrets(config, keys) },
    distributionRouteDeps: { db: deps.db },
    inboxDeps: deps,
    emailRouteDeps: { db: deps.db, publicUrl: config.publicUrl },
    reportDeps: { ...deps, files },
    badLeadDeps: deps,
  };
}

/** What buyers wrote about a lead, in the features above it. */
async function eraseBeside(tx: Tx, leadId: string): Promise<void> {
  await eraseNotes(tx, leadId);
  await eraseReasons(tx, leadId);
}

interface RouteParts {
  readonly db: Database;
  readonly log: Log;
  readonly metrics: ProductMetrics;
  readonly now: () => Date;
  readonly keys: Keys;
  readonly files: FileStore;
}

/** What stands in the links of mails: made when they are sent, and never stored. */
function linkTokens(keys: Keys): Pick<EmailHandlerDeps, 'confirmToken' | 'eraseToken' | 'userToken'> {
  return {
    confirmToken: (leadId, nonce) => confirmToken(keys, { leadId, nonce }),
    eraseToken: (leadId) => eraseToken(keys, leadId),
    userToken: (tokenId, purpose) => mailedToken(keys, tokenId, purpose),
  };
}

function openAppAuthorizer({ publicUrl }: Config, { db, now }: { db: Database; now: () => Date }): Authorize {
  return openAuthorizer({ db, now, publicUrl, authorizeToken: (token, at) => authorizeToken(db, token, at) });
}

/** Those that are given, else those that follow from the keys. A command without a key has none, and settles no payment. */
function webhookSecrets(config: ReadyConfig, keys: Keys): readonly string[] {
  const { paymentWebhookSecret: given, previousPaymentWebhookSecret: previous, tokenKey } = config;
  if (given !== undefined) return previous === undefined ? [given] : [given, previous];
  return tokenKey ? keys.derive('payment-webhook').map(({ key }) => key.toString('hex')) : [];
}

function openRequestLimits(
  config: ReadyConfig,
  { log, ...deps }: Pick<LimiterOptions, 'log' | 'keys' | 'metrics'>,
): RequestLimits {
  // Its errors are told once by the limiter, which has another way to count.
  const redis = connectRedis({ url: config.redisUrl, connectionName: 'fmhl-limits' });
  return { limiter: new Limiter({ ...deps, log, redis, prefix }), quotas: quotasOf(config) };
}

function openAppDatabase(config: ReadyConfig, role: string, { log, metrics }: Telemetry) {
  const poolWait = metrics.histogram('pg_pool_wait_ms');
  return openDatabase({
    url: config.databaseUrl,
    poolSize: config.pgPoolSize,
    applicationName: `fmhl-${role}`,
    onPoolWait: (ms) => poolWait.observe(ms),
    onError: (error) => log.warn('postgres_error', { error }),
  });
}

function openPlane(
  config: ReadyConfig,
  { log, metrics }: Telemetry,
  { role, ...given }: Pick<OpsOptions, 'db' | 'authorize' | 'auditKeys' | 'schedules' | 'failpoint'> & { role: string },
) {
  return openOps({
    ...given,
    log,
    metrics,
    version,
    auditAnchor: config.auditAnchor === noAnchor ? undefined : config.auditAnchor,
    environment: config.nodeEnv,
    invariants,
    migrationSets,
    parts: [diskPart(config.dataDir)],
    queues: queuesOf(config),
    retention: 'host',
    redisUrl: config.redisUrl,
    prefix,
    jobLockMs: config.jobLockMs,
    reconcileAfterMs: config.reconcileAfterMs,
    reconcileEveryMs: config.reconcileEveryMs,
    leaseMs: config.leaseMs,
    probeEveryMs: config.probeEveryMs,
    // A stranger's Ctrl-C must end everything, Postgres included, within 10 s; a fleet has the 30 s of its platform.
    stopWithinMs: role === 'all' ? 5_000 : 25_000,
  });
}

/** Simulated people see within minutes what becomes of a mail that nobody takes. */
const simulatedMailSpeed = 60;

function queuesOf({ mailRetrySpeed, traffic }: Config) {
  const speed = traffic ? Math.max(simulatedMailSpeed, mailRetrySpeed) : mailRetrySpeed;
  if (speed === 1) return queues;
  return queues.map((queue) =>
    queue.name === emailQueue.name ? { ...queue, backoffMs: queue.backoffMs.map((ms) => ms / speed) } : queue,
  );
}
