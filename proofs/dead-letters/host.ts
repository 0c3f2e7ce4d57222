/** An application on the operations plane, one role a process: `host.ts run api|worker|relay|scheduler`. */
import fastify from 'fastify';
import {
  armFailpoint,
  type Authorize,
  createLogger,
  openDatabase,
  openOps,
  probes,
  type Runnable,
  runUntilSignal,
} from '../../packages/ops/src/index.ts';
import { handlerOf, type Temper } from './handler.ts';
import { lockMs, prefix, queues } from './jobs.ts';

/** Everything the admin API asks for. */
const permissions = new Set(
  ['queue.read', 'queue.control', 'job.control', 'redrive.plan', 'redrive.run', 'redrive.approve', 'audit.read'].concat(
    ['read', 'retry', 'resolve', 'annotate', 'reveal', 'discard', 'edit', 'export'].map((act) => `dlq.${act}`),
  ),
);

const authorize: Authorize = ({ headers }) =>
  headers.authorization === 'Bearer proof'
    ? { actor: { id: 'operator', name: 'operator', via: 'http' }, permissions, secondFactorAt: new Date() }
    : undefined;

const [, , , role = ''] = process.argv;
const env = (name: string) => process.env[name] ?? '';

const log = createLogger({
  level: 'info',
  format: 'json',
  service: role,
  version: '1.0.0',
  instance: 'proof',
  bootId: String(process.pid),
});
const db = openDatabase({ url: env('DATABASE_URL'), poolSize: 6 });
const ops = openOps({
  db,
  log,
  redisUrl: env('REDIS_URL'),
  queues,
  authorize,
  prefix,
  version: env('VERSION') || '1.0.0',
  jobLockMs: lockMs,
  leaseMs: 1_500,
  reconcileAfterMs: 500,
  reconcileEveryMs: 250,
  dispatchPollMs: 50,
  sweepEveryMs: 200,
  stopWithinMs: 5_000,
  probeEveryMs: 0,
  redrives: { undoMs: 500 },
  failpoint: armFailpoint(env('FAILPOINT'), (name) => log.warn('failpoint_hit', { failpoint: name })),
});

const said: Runnable = {
  name: 'said',
  start: async () => log.info('process_started', { role }),
  stop: async () => {},
};

function worker(): Runnable {
  const handler = handlerOf(env('TEMPER') as Temper, env('DIRECTORY'));
  const concurrency = Number(env('CONCURRENCY'));
  return ops.worker(
    Object.fromEntries(
      env('QUEUES')
        .split(',')
        .map((queue) => [queue, { handler, concurrency }]),
    ),
  );
}

async function api(): Promise<Runnable> {
  const app = fastify({ forceCloseConnections: true });
  await app.register(ops.http, { prefix: '/api/v1/admin' });
  await app.register(probes, { health: ops.health, metrics: ops.metrics });
  return {
    name: 'http',
    start: async () => {
      await app.listen({ port: Number(env('PORT')), host: '127.0.0.1' });
      ops.health.markStarted();
    },
    stop: () => app.close(),
  };
}

const roles: Record<string, () => Runnable | Promise<Runnable>> = {
  api,
  worker,
  relay: () => ops.relay(),
  scheduler: () => ops.scheduler(),
};
const open = roles[role];
// Without a role it has been compiled, which is all that was wanted.
if (open) await runUntilSignal([await open(), said], { log });
await ops.close();
await db.close();
