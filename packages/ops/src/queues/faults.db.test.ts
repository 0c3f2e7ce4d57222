import { Queue, UnrecoverableError, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { pollUntil, type TestPlane } from '../testing/index.ts';
import { bury, done, enqueueMany, type Job } from './index.ts';
import { effectOnce, forget, openWork, type Task, work } from './work.fixture.ts';

let opened: Awaited<ReturnType<typeof openWork>>;
afterEach(() => opened.plane.close());

async function open(options?: Parameters<typeof openWork>[0]) {
  opened = await openWork(options);
  return opened;
}

describe('delivery again', () => {
  it('finds the verdict: a finished run that is handed over ten times more has one effect', async () => {
    const { plane, plan, settled, effects } = await open();
    await plane.run({ work: effectOnce });
    await plan(1);
    await settled('task-1', 'done');
    for (let again = 0; again < 10; again += 1) {
      await deliverAgain(plane, 'task-1');
    }
    await pollUntil(async () => (await plane.overview()).queues[0]?.active === 0);
    expect(await effects()).toEqual([{ n: 1, times: 1 }]);
  });

  it('is fenced: an attempt that was overtaken rolls its effect back', async () => {
    const { plane, plan, effects } = await open();
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
    const { plane, plan, settled } = await open();
    let ran = 0;
    await plane.run({
      work: async () => {
        ran += 1;
        return done;
      },
    });
    await deliverAgain(plane, 'forged-1');
    await plan(1);
    await settled('task-1', 'done');
    expect(ran).toBe(1);
  });
});

describe('loss of Redis', () => {
  it('costs time only: every job that was waiting is handed over again and runs once', async () => {
    const { plane, effects, undispatched } = await open();
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
    const { plane, run, plan } = await open();
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
    const { plane, plan, settled, effects } = await open();
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
    const { plane, plan, settled, effects } = await open({
      onDeaths: {
        work: async (tx, [death]) =>
          void (await tx.query(sql`insert into effect (n) values (${death?.cause === 'permanent' ? 99 : 0})`)),
      },
    });
    await plane.run({ work: async () => bury(new Error('no')) });
    await plan(1);
    await settled('task-1', 'dead');
    expect(await effects()).toEqual([{ n: 99, times: 1 }]);
  });

  it('stops without losing an attempt: what runs too long is put back', async () => {
    const { plane, run, plan } = await open({ stopWithinMs: 100 });
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

/** Puts a job into Redis behind the plane's back, as a repeated delivery would. */
async function deliverAgain(plane: TestPlane, key: string): Promise<void> {
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

describe('a verdict that cannot be written', () => {
  /** Makes every write of `column` fail as it does while Postgres shuts down. */
  const refuseDeaths = (plane: TestPlane) =>
    plane.db
      .query(sql`
      create function refuse_death() returns trigger language plpgsql as
        $$ begin raise exception 'terminating' using errcode = '57P01'; end $$`)
      .then(() =>
        plane.db.query(sql`
        create trigger refuse_death before update on ops.job_run
        for each row when (new.state = 'dead') execute function refuse_death()`),
      );

  it('is written again until it can be, and counts as one attempt', async () => {
    const { plane, plan, run, settled } = await open();
    await refuseDeaths(plane);
    let calls = 0;
    await plane.run({
      work: async () => {
        calls += 1;
        return bury(new Error('no'));
      },
    });
    await plan(1);
    await pollUntil(() => calls === 1);
    expect(await run('task-1')).toMatchObject({ state: 'enqueued', started: 1 });
    await plane.db.query(sql`drop trigger refuse_death on ops.job_run`);
    expect(await settled('task-1', 'dead')).toMatchObject({ started: 1, finished: 1, failures: 1 });
    expect(calls).toBe(1);
  });

  it('is written for a run which BullMQ failed and Postgres believes to be under way', async () => {
    const { plane, plan, settled, effects } = await open();
    await plan(1);
    await plane.start(plane.relay());
    await pollUntil(async () => (await plane.overview()).queues[0]?.not_dispatched === 0);
    await failInRedis(plane, 'task-1');
    await plane.start(plane.scheduler());
    await plane.start(plane.worker({ work: effectOnce }));
    expect(await settled('task-1', 'dead')).toMatchObject({ cause: 'stalled', started: 0 });
    expect(await effects()).toEqual([]);
  });
});

/** Ends a job as BullMQ does when it stalled too often: failed, without its processor having been called. */
async function failInRedis(plane: TestPlane, key: string): Promise<void> {
  const redis = new Redis(inject('redisUrl'), { maxRetriesPerRequest: null });
  const worker = new Worker('work', null, { connection: redis, prefix: plane.prefix });
  const job = await pollUntil(() => worker.getNextJob('token'));
  expect(job.id).toBe(key);
  await job.moveToFailed(new UnrecoverableError('job stalled more than allowable limit'), 'token');
  await worker.close();
  redis.disconnect();
}
