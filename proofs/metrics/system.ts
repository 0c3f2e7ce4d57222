import { sendSignal } from '../../apps/marketplace/src/embedded/server-process.ts';
import { queues as definitions } from '../../apps/marketplace/src/queues.ts';
import { type Database, type Sql, sql } from '../../packages/ops/src/postgres/index.ts';
import { openRedisQueues, type RedisQueues } from '../../packages/ops/src/queues/bullmq.ts';
import { createRegistry } from '../../packages/ops/src/queues/registry.ts';
import type { Member, Role } from '../harness/fleet.ts';
import { freePort } from '../harness/product.ts';
import type { Scene } from '../harness/scene.ts';
import type { Redis, Stage } from '../harness/stage.ts';
import { anchorOf } from './audit-trail.ts';
import { webhookSecret } from './money.ts';
import { buildMarket, type Market, meetPeople, type People } from './market.ts';
import { openWatch, type Watch } from './watch.ts';

/** Everything a flow needs to cause what it causes. */
export interface System {
  readonly scene: Scene;
  readonly stage: Stage;
  readonly market: Market;
  readonly people: People;
  readonly watch: Watch;
  readonly redis: Redis;
  readonly queues: RedisQueues;
  /** Starts a process, and scrapes it from then on. */
  readonly start: (role: Role) => Promise<Member>;
  /** Holds these rows in a transaction of its own until released. */
  readonly hold: (rows: Sql) => Promise<() => Promise<void>>;
  /** Stops Redis where it stands, without closing a connection, and lets it go on. */
  readonly freezeRedis: (on: boolean) => void;
  /** Lets go of everything that a broken flow still holds. */
  close(): Promise<void>;
}

/** An API that works, on a market where nothing has happened. */
export async function openSystem(scene: Scene, stage: Stage): Promise<System> {
  const { db, fleet } = scene;
  const { redis } = stage;
  const watch = openWatch();
  const start = async (role: Role) => {
    const port = await freePort();
    // A tenth of the lines, so that some are not written.
    const settings = {
      METRICS_PORT: String(port),
      LOG_SAMPLE_RATE: '0.1',
      AUDIT_ANCHOR: anchorOf(stage),
      PAYMENT_WEBHOOK_SECRET: webhookSecret,
    };
    const member = fleet.start(role, undefined, settings);
    await watch.add(member, port);
    return member;
  };
  const market = await buildMarket(db);
  const redisPid = Number(/^process_id:(\d+)/m.exec(await redis.info('server'))?.[1]);
  await watch.sees('a process starts', () => start('api'), [
    { metric: 'build_info', becomes: 1 },
    { metric: 'health_check_up', labels: { check: 'database' }, becomes: 1 },
    { metric: 'pg_pool_wait_ms', rises: 'some' },
    { metric: 'redis_memory_used_bytes', becomes: 'positive' },
    { metric: 'queue_stats_last_success_timestamp_seconds', becomes: 'positive' },
    { metric: 'schedule_grace_seconds', labels: { schedule: 'retention' }, becomes: 900 },
    { metric: 'schedule_last_success_timestamp_seconds', labels: { schedule: 'retention' }, becomes: 'positive' },
  ]);
  const queues = openRedisQueues(redis, createRegistry(definitions), '{fmhl}');
  const { hold, releaseAll } = openLocks(db);
  const freezeRedis = (on: boolean) => sendSignal(redisPid, on ? 'SIGSTOP' : 'SIGCONT');
  const close = async () => {
    freezeRedis(false);
    await releaseAll();
    await queues.close();
  };
  return {
    scene,
    stage,
    market,
    watch,
    redis,
    start,
    people: await meetPeople(scene),
    queues,
    hold,
    freezeRedis,
    close,
  };
}

function openLocks(db: Database) {
  const releases = new Set<() => Promise<void>>();
  const hold = async (rows: Sql) => {
    const held = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const ended = db.transaction(async (tx) => {
      await tx.query(sql`${rows} for update`);
      held.resolve();
      await released.promise;
    });
    ended.catch(held.reject);
    await held.promise;
    const release = () => {
      released.resolve();
      return ended;
    };
    releases.add(release);
    return release;
  };
  return { hold, releaseAll: () => Promise.allSettled([...releases].map((release) => release())) };
}
