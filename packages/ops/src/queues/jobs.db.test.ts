import { Redis } from 'ioredis';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { z } from 'zod';
import { runWithContext } from '../logging/index.ts';
import { sql } from '../postgres/index.ts';
import { openTestPlane, pollUntil, type TestPlane } from '../testing/index.ts';
import {
  bury,
  defineQueue,
  done,
  enqueue,
  enqueueMany,
  type Job,
  type JobHandler,
  PermanentError,
  retry,
  snooze,
} from './index.ts';

const work = defineQueue({
  name: 'work',
  aliases: ['labour'],
  attempts: 3,
  backoffMs: [20, 40],
  kinds: { task: { schema: z.strictObject({ n: z.int() }), sideEffect: 'guarded' } },
});
type Task = { n: number };

let plane: TestPlane;
afterEach(() => plane.close());

async function open(options: Partial<Parameters<typeof openTestPlane>[0]> = {}) {
  plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [work],
    ...options,
  });
  // No unique key: a doubled effect shows in place of being prevented.
  await plane.db.query(sql`create table effect (n int not null, at timestamptz default now())`);
  return plane;
}

const addEffect = (job: Job<Task>) =>
  job.commit(async (tx) => void (await tx.query(sql`insert into effect (n) values (${job.payload.n})`)));

const effectOnce: JobHandler<Task> = async (job) => {
  await addEffect(job);
  return done;
};

const plan = (n: number, key = `task-${n}`) => plane.db.transaction((tx) => enqueue(tx, work, 'task', { n }, { key }));

async function run(key: string) {
  const { rows } = await plane.db.query<Record<string, unknown>>(sql`select * from ops.job_run where run_key = ${key}`);
  return rows[0];
}

const settled = (key: string, state: 'done' | 'dead') =>
  pollUntil(async () => {
    const row = await run(key);
    return row?.state === state && row;
  });

async function effects() {
  const { rows } = await plane.db.query<{ n: number; times: number }>(
    sql`select n, count(*)::int as times from effect group by n order by n`,
  );
  return rows;
}

describe('a job', () => {
  it('runs once, and its effect and its verdict are one commit', async () => {
    await open();
    await plane.run({ work: effectOnce });
    await plan(1);
    const row = await settled('task-1', 'done');
    expect(row).toMatchObject({ started: 1, finished: 1, failures: 0, root_key: 'task-1' });
    expect(await effects()).toEqual([{ n: 1, times: 1 }]);
    const { rows } = await plane.db.query(sql`select 1 from ops.job_outbox`);
    expect(rows).toEqual([]);
  });

  it('is not planned when the transaction that plans it rolls back', async () => {
    await open();
    const failing = plane.db.transaction(async (tx) => {
      await enqueue(tx, work, 'task', { n: 1 }, { key: 'task-1' });
      throw new Error('the business changed its mind');
    });
    await expect(failing).rejects.toThrow('changed its mind');
    expect(await run('task-1')).toBeUndefined();
  });

  it('is planned once under one key, also by twenty racers', async () => {
    await open();
    const created = await Promise.all(Array.from({ length: 20 }, () => plan(7)));
    expect(created.filter(Boolean)).toHaveLength(1);
  });

  it('carries the correlation id of the work that planned it into its handler and its log lines', async () => {
    await open();
    await plane.run({ work: effectOnce });
    await runWithContext({ correlationId: 'journey-0001' }, () => plan(1));
    await settled('task-1', 'done');
    await pollUntil(() => plane.lines.some((line) => line.event === 'job_completed'));
    expect(plane.lines.find((line) => line.event === 'job_completed')).toMatchObject({
      correlation_id: 'journey-0001',
    });
  });

  it('keeps a payload above 64 kB in Postgres and gives it to the handler whole', async () => {
    const large = defineQueue({
      name: 'large',
      attempts: 1,
      backoffMs: [],
      kinds: { task: { schema: z.string(), sideEffect: 'idempotent' } },
    });
    await open({ queues: [large] });
    const seen: string[] = [];
    const text = 'é'.repeat(40_000);
    await plane.db.transaction((tx) => enqueue(tx, large, 'task', text, { key: 'large-1' }));
    const { rows } = await plane.db.query<{ length: number }>(sql`select length(envelope) from ops.job_outbox`);
    expect(rows[0]?.length).toBeLessThan(1_000);
    await plane.run({
      large: async (job: Job<string>) => {
        seen.push(job.payload);
        return done;
      },
    });
    await settled('large-1', 'done');
    expect(seen).toEqual([text]);
  });

  it.each([
    ['a payload that does not fit its schema', { n: 'one' }, { key: 'k-1' }, /n: Invalid input/],
    ['a key with a colon', { n: 1 }, { key: 'a:b' }, /no ":"/],
    ['a key of digits', { n: 1 }, { key: '42' }, /not be all digits/],
  ])('is refused with %s', async (_what, payload, options, message) => {
    await open();
    const planning = plane.db.transaction((tx) => enqueue(tx, work, 'task', payload as Task, options));
    await expect(planning).rejects.toThrow(message);
  });
});

describe('a failing job', () => {
  it('is tried again after its backoff, and dies as exhausted after its attempts', async () => {
    await open();
    await plane.run({ work: async () => retry(new Error('mail to jane@example.com refused')) });
    await plan(1);
    const row = await settled('task-1', 'dead');
    expect(row).toMatchObject({ cause: 'exhausted', failures: 3, started: 3, finished: 3 });
    expect(row?.attempts_history).toHaveLength(3);
    expect(JSON.stringify(row)).not.toContain('jane@example.com');
    expect(plane.metrics.value('jobs_failed_total', { queue: 'work' })).toBe(3);
    expect(plane.metrics.value('jobs_retried_total', { queue: 'work' })).toBe(2);
    expect(plane.metrics.value('jobs_dead_lettered_total', { queue: 'work', reason: 'exhausted' })).toBe(1);
  });

  it('leaves its payload as evidence when it dies', async () => {
    await open();
    await plane.run({ work: async () => bury(new Error('no')) });
    await plan(7);
    await settled('task-7', 'dead');
    const { rows } = await plane.db.query(sql`select body from ops.job_payload where run_key = 'task-7'`);
    expect(rows).toEqual([{ body: '{"n":7}' }]);
  });

  it.each<[string, JobHandler]>([
    ['buries itself', async () => bury(new Error('no'))],
    [
      'throws a permanent error',
      async () => {
        throw new PermanentError('no');
      },
    ],
  ])('dies at once when it %s', async (_how, handler) => {
    await open();
    await plane.run({ work: handler });
    await plan(1);
    expect(await settled('task-1', 'dead')).toMatchObject({ cause: 'permanent', started: 1 });
  });

  it.each([
    ['undefined', undefined],
    ['a string', 'oops'],
    [
      'a circular object',
      (() => {
        const circular: { self?: unknown } = {};
        circular.self = circular;
        return circular;
      })(),
    ],
    ['an error of 5 MB with NUL and half surrogates', new PermanentError(`\u0000\ud800${'x'.repeat(5_000_000)}`)],
  ])('leaves its evidence when it throws %s', async (_what, thrown) => {
    await open();
    await plane.run({
      work: async () => {
        throw thrown;
      },
    });
    await plan(1);
    const row = await settled('task-1', 'dead');
    expect(row?.last_error).toMatchObject({ type: expect.any(String) });
    expect(JSON.stringify(row?.last_error).length).toBeLessThan(40_000);
  });

  it('dies when its kind is unknown or its payload no longer fits, before the handler runs', async () => {
    await open();
    let ran = false;
    await plan(1);
    await plane.db.query(sql`update ops.job_outbox set envelope = replace(envelope, '"n":1', '"n":"one"')`);
    await plane.run({
      work: async () => {
        ran = true;
        return done;
      },
    });
    expect(await settled('task-1', 'dead')).toMatchObject({
      cause: 'permanent',
      last_error: { type: 'InvalidPayload' },
    });
    expect(ran).toBe(false);
  });

  it('uses no attempt when it is snoozed', async () => {
    await open();
    let calls = 0;
    await plane.run({ work: async () => (++calls < 3 ? snooze(10, 'not yet') : done) });
    await plan(1);
    expect(await settled('task-1', 'done')).toMatchObject({ started: 3, finished: 3, failures: 0 });
  });

  it('is given up at its deadline, and what it commits afterwards does not count twice', async () => {
    const hasty = defineQueue({ ...work, attempts: 2, kinds: { task: { ...work.kinds.task, timeoutMs: 50 } } });
    await open({ queues: [hasty] });
    const signals: boolean[] = [];
    await plane.run({
      work: async (job: Job<Task>) => {
        if (job.attempt > 1) return effectOnce(job);
        await new Promise((resolve) => job.signal.addEventListener('abort', resolve));
        signals.push(job.signal.aborted);
        await pollUntil(async () => (await run('task-1'))?.state === 'done');
        return effectOnce(job);
      },
    });
    await plane.db.transaction((tx) => enqueue(tx, hasty, 'task', { n: 1 }, { key: 'task-1' }));
    await settled('task-1', 'done');
    expect(signals).toEqual([true]);
    expect(await effects()).toEqual([{ n: 1, times: 1 }]);
  });
});

describe('delivery again', () => {
  it('finds the verdict: a finished run that is handed over ten times more has one effect', async () => {
    await open();
    await plane.run({ work: effectOnce });
    await plan(1);
    await settled('task-1', 'done');
    for (let again = 0; again < 10; again += 1) {
      await deliverAgain('task-1');
    }
    await pollUntil(async () => (await plane.overview()).queues[0]?.active === 0);
    expect(await effects()).toEqual([{ n: 1, times: 1 }]);
  });

  it('is fenced: an attempt that was overtaken rolls its effect back', async () => {
    await open();
    const first = Promise.withResolvers<void>();
    await plane.run({
      work: async (job: Job<Task>) => {
        if (job.attempt === 1) {
          await plane.db.query(sql`update ops.job_run set started = started + 1 where run_key = ${job.runKey}`);
          first.resolve();
        }
        return effectOnce(job);
      },
    });
    await plan(1);
    await first.promise;
    await pollUntil(() => plane.metrics.value('jobs_failed_total', { queue: 'work' }) === 1);
    expect(await effects()).toEqual([]);
  });

  it('never runs a job of ours that Postgres does not know', async () => {
    await open();
    let ran = 0;
    await plane.run({
      work: async () => {
        ran += 1;
        return done;
      },
    });
    await deliverAgain('forged-1');
    await plan(1);
    await settled('task-1', 'done');
    expect(ran).toBe(1);
  });
});

describe('loss of Redis', () => {
  it('costs time only: every job that was waiting is handed over again and runs once', async () => {
    await open();
    await plane.start(plane.relay());
    await plane.db.transaction((tx) =>
      enqueueMany(
        tx,
        work,
        'task',
        Array.from({ length: 200 }, (_, n) => ({ payload: { n }, key: `task-${n}` })),
      ),
    );
    await pollUntil(async () => (await undispatched()) === 0);
    await forget(plane.prefix);
    await plane.start(plane.scheduler());
    await plane.start(plane.worker({ work: { handler: effectOnce, concurrency: 16 } }));
    await pollUntil(async () => (await effects()).length === 200, { deadlineMs: 15_000 });
    expect((await effects()).every(({ times }) => times === 1)).toBe(true);
    expect(plane.metrics.value('reconciler_repairs_total', { kind: 'job_redispatched' })).toBeGreaterThan(0);
  });

  it('buries a run that is lost again and again without ever beginning', async () => {
    await open();
    await plane.start(plane.relay());
    await plane.start(plane.scheduler());
    await plan(1);
    await pollUntil(
      async () => {
        await forget(plane.prefix);
        return (await run('task-1'))?.state === 'dead';
      },
      { deadlineMs: 15_000, everyMs: 50 },
    );
    expect(await run('task-1')).toMatchObject({ cause: 'lost', started: 0 });
  });
});

describe('a job that kills its worker', () => {
  it('dies as crash_loop after three starts without a word, beside mates that finish', async () => {
    await open();
    await plan(1);
    await plane.db.query(sql`update ops.job_run set started = 3 where run_key = 'task-1'`);
    await plan(2);
    await plane.db.query(sql`update ops.job_run set started = 2 where run_key = 'task-2'`);
    await plane.run({ work: effectOnce });
    expect(await settled('task-1', 'dead')).toMatchObject({ cause: 'crash_loop', started: 3 });
    await settled('task-2', 'done');
    expect(await effects()).toEqual([{ n: 2, times: 1 }]);
  });
});

describe('the host', () => {
  it('learns of a death in the transaction of the verdict', async () => {
    await open({
      onDeath: async (tx, death) =>
        void (await tx.query(sql`insert into effect (n) values (${death.cause === 'permanent' ? 99 : 0})`)),
    });
    await plane.run({ work: async () => bury(new Error('no')) });
    await plan(1);
    await settled('task-1', 'dead');
    expect(await effects()).toEqual([{ n: 99, times: 1 }]);
  });

  it('stops without losing an attempt: what runs too long is put back', async () => {
    await open({ stopWithinMs: 100 });
    const begun = Promise.withResolvers<void>();
    const worker = plane.worker({
      work: async (job) => {
        begun.resolve();
        await new Promise((resolve) => job.signal.addEventListener('abort', resolve));
        return done;
      },
    });
    await plane.start(plane.relay());
    await plane.start(worker);
    await plan(1);
    await begun.promise;
    await worker.stop();
    expect(await run('task-1')).toMatchObject({ state: 'enqueued', started: 1, finished: 1, failures: 0 });
  });
});

async function undispatched(): Promise<number> {
  const { rows } = await plane.db.query<{ n: number }>(
    sql`select count(*)::int as n from ops.job_outbox where dispatched_at is null`,
  );
  return rows[0]?.n ?? 0;
}

/** What a FLUSHALL does, for the keys of this test alone. */
async function forget(prefix: string): Promise<void> {
  const redis = new Redis(inject('redisUrl'));
  const keys = await redis.keys(`${prefix.replaceAll(/[{}]/g, '\\$&')}*`);
  if (keys.length > 0) await redis.del(keys);
  redis.disconnect();
}

/** Puts a job into Redis behind the plane's back, as a repeated delivery would. */
async function deliverAgain(key: string): Promise<void> {
  const { Queue } = await import('bullmq');
  const redis = new Redis(inject('redisUrl'), { maxRetriesPerRequest: null });
  const queue = new Queue('work', { connection: redis, prefix: plane.prefix });
  const meta = { correlation_id: 'again-0001', enqueued_at: new Date().toISOString() };
  await queue.add('task', { v: 1, run: key, root: key, meta, body: { n: 1 } }, { jobId: key, removeOnComplete: true });
  await pollUntil(async () => {
    const state = await queue.getJobState(key);
    return state === 'unknown' || state === 'failed';
  });
  await queue.remove(key);
  await queue.close();
  redis.disconnect();
}
