/** An application with schedules, one role a process: `host.ts run worker|relay|scheduler`. */
import {
  armFailpoint,
  createLogger,
  openDatabase,
  openOps,
  type Runnable,
  runUntilSignal,
  schedulerQueue,
} from '../../packages/ops/src/index.ts';
import { prefix, timetable } from './timetable.ts';

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
// A frozen process holds its locks no longer than this.
const db = openDatabase({ url: env('DATABASE_URL'), poolSize: 6, idleInTransactionTimeoutMs: 1_000 });
const ops = openOps({
  db,
  log,
  redisUrl: env('REDIS_URL'),
  queues: [schedulerQueue],
  schedules: timetable(db),
  authorize: () => undefined,
  prefix,
  leaseMs: 1_000,
  scheduleEveryMs: 200,
  dispatchPollMs: 50,
  stopWithinMs: 5_000,
  probeEveryMs: 0,
  failpoint: armFailpoint(env('FAILPOINT'), (name) => log.warn('failpoint_hit', { failpoint: name })),
});

const said: Runnable = {
  name: 'said',
  start: async () => log.info('process_started', { role }),
  stop: async () => {},
};

const roles: Record<string, () => Runnable> = {
  worker: () => ops.worker({}),
  relay: () => ops.relay(),
  scheduler: () => ops.scheduler(),
};
const open = roles[role];
// Without a role it has been compiled, which is all that was wanted.
if (open) await runUntilSignal([open(), said], { log });
await ops.close();
await db.close();
