import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runWithContext } from '../logging/index.ts';
import { sql } from '../postgres/index.ts';
import { pollUntil } from '../testing/index.ts';
import { bury, defineQueue, done, enqueue, type Job, type JobHandler, PermanentError, retry, snooze } from './index.ts';
import { effectOnce, openWork, type Task, work } from './work.fixture.ts';

let opened: Awaited<ReturnType<typeof openWork>>;
afterEach(() => opened.plane.close());

async function open(options?: Parameters<typeof openWork>[0]) {
  opened = await openWork(options);
  return opened;
}

describe('a job', () => {
  it('runs once, and its effect and its verdict are one commit', async () => {
    const { plane, plan, settled, effects } = await open();
    await plane.run({ work: effectOnce });
    await plan(1);
    const row = await settled('task-1', 'done');
    expect(row).toMatchObject({ started: 1, finished: 1, failures: 0, root_key: 'task-1' });
    expect(await effects()).toEqual([{ n: 1, times: 1 }]);
    const { rows } = await plane.db.query(sql`select 1 from ops.job_outbox`);
    expect(rows).toEqual([]);
  });

  it('is not planned when the transaction that plans it rolls back', async () => {
    const { plane, run } = await open();
    const failing = plane.db.transaction(async (tx) => {
      await enqueue(tx, work, 'task', { n: 1 }, { key: 'task-1' });
      throw new Error('the business changed its mind');
    });
    await expect(failing).rejects.toThrow('changed its mind');
    expect(await run('task-1')).toBeUndefined();
  });

  it('is planned once under one key, also by twenty racers', async () => {
    const { plan } = await open();
    const created = await Promise.all(Array.from({ length: 20 }, () => plan(7)));
    expect(created.filter(Boolean)).toHaveLength(1);
  });

  it('carries the correlation id of the work that planned it into its handler and its log lines', async () => {
    const { plane, plan, settled } = await open();
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
    const { plane, settled } = await open({ queues: [large] });
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
    const { plane } = await open();
    const planning = plane.db.transaction((tx) => enqueue(tx, work, 'task', payload as Task, options));
    await expect(planning).rejects.toThrow(message);
  });
});

/** What the letter of the only death says of it. */
async function evidenceOf(plane: Awaited<ReturnType<typeof open>>['plane']) {
  const { rows } = await plane.db.query(
    sql`select error_type, error_message, error_code, stack_trace from ops.dead_letter_queue`,
  );
  expect(rows).toHaveLength(1);
  return rows[0];
}

describe('a failing job', () => {
  it('is tried again after its backoff, and dies as exhausted after its attempts', async () => {
    const { plane, plan, settled } = await open();
    await plane.run({ work: async () => retry(new Error('mail to jane@example.com refused')) });
    await plan(1);
    const row = await settled('task-1', 'dead');
    expect(row).toMatchObject({ cause: 'exhausted', failures: 3, started: 3, finished: 3 });
    // The third is the one it died of: the run and its letter tell of that.
    expect(row?.attempts_history).toMatchObject([{ outcome: 'failed' }, { outcome: 'failed' }]);
    expect(JSON.stringify([row, await evidenceOf(plane)])).not.toContain('jane@example.com');
    expect(plane.metrics.value('jobs_failed_total', { queue: 'work' })).toBe(3);
    expect(plane.metrics.value('jobs_retried_total', { queue: 'work' })).toBe(2);
    expect(plane.metrics.value('jobs_dead_lettered_total', { queue: 'work', reason: 'exhausted' })).toBe(1);
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
    const { plane, plan, settled } = await open();
    await plane.run({ work: handler });
    await plan(1);
    expect(await settled('task-1', 'dead')).toMatchObject({ cause: 'permanent', started: 1 });
    // The next job shows that BullMQ is done with this one, and had nothing to say against its end.
    await plan(2);
    await settled('task-2', 'dead');
    expect(plane.lines.filter(({ event }) => event === 'worker_error')).toEqual([]);
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
    const { plane, plan, settled } = await open();
    await plane.run({
      work: async () => {
        throw thrown;
      },
    });
    await plan(1);
    await settled('task-1', 'dead');
    const evidence = await evidenceOf(plane);
    expect(evidence).toMatchObject({ error_type: expect.stringMatching(/./) });
    expect(JSON.stringify(evidence).length).toBeLessThan(40_000);
  });

  it('dies when its kind is unknown or its payload no longer fits, before the handler runs', async () => {
    const { plane, plan, settled } = await open();
    let ran = false;
    await plan(1);
    await plane.db.query(sql`update ops.job_outbox set envelope = replace(envelope, '"n":1', '"n":"one"')`);
    await plane.run({
      work: async () => {
        ran = true;
        return done;
      },
    });
    expect(await settled('task-1', 'dead')).toMatchObject({ cause: 'invalid' });
    expect(await evidenceOf(plane)).toMatchObject({ error_type: 'InvalidPayload' });
    expect(ran).toBe(false);
  });

  it('uses no attempt when it is snoozed', async () => {
    const { plane, plan, settled } = await open();
    let calls = 0;
    await plane.run({ work: async () => (++calls < 3 ? snooze(10, 'not yet') : done) });
    await plan(1);
    expect(await settled('task-1', 'done')).toMatchObject({ started: 3, finished: 3, failures: 0 });
  });

  it('is given up at its deadline, and what it commits afterwards does not count twice', async () => {
    const hasty = defineQueue({ ...work, attempts: 2, kinds: { task: { ...work.kinds.task, timeoutMs: 50 } } });
    const { plane, run, settled, effects } = await open({ queues: [hasty] });
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
