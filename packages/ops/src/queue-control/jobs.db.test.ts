import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { done, type JobHandler, type DeathHooks } from '../queues/index.ts';
import { Refusal } from '../refusals/index.ts';
import { pollUntil } from '../testing/index.ts';
import { ana, openControl } from './control.fixture.ts';
import { promoteJob, removeJob } from './index.ts';

let control: Awaited<ReturnType<typeof openControl>>;
beforeEach(async () => {
  control = await openControl();
});
afterEach(() => control.close());

const promote = (jobId: string) => control.db.transaction((tx) => promoteJob(tx, { queue: 'work', jobId, actor: ana }));
const told: string[] = [];
const hooks: DeathHooks = { work: async (_tx, deaths) => void told.push(...deaths.map(({ runKey }) => runKey)) };
const remove = (jobId: string) =>
  control.db.transaction((tx) =>
    removeJob(tx, { queue: 'work', jobId, actor: ana, reason: 'sent twice', queues: control.queues, hooks }),
  );
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => 'accepted',
    (error: unknown) => (error instanceof Refusal ? error.code : Promise.reject(error as Error)),
  );

describe('promoting', () => {
  it('lets a delayed job run now', async () => {
    const { plane, plan, handedOver, run, queues, audits } = control;
    await plane.run({ work: async () => done });
    await plan('task-1', { delayMs: 600_000 });
    await handedOver();
    expect(await queues.counts('work')).toMatchObject({ delayed: 1, waiting: 0 });
    expect(await promote('task-1')).toMatchObject({ state: 'waiting' });
    await pollUntil(async () => (await run('task-1'))?.state === 'done');
    expect(await audits('job.promoted')).toMatchObject([{ actor_name: 'Ana', target_id: 'task-1' }]);
  });

  it('has one winner, and tells the others who that was', async () => {
    const { plan, audits } = control;
    await plan('task-1', { delayMs: 600_000 });
    const answers = await Promise.all(Array.from({ length: 10 }, () => refusal(promote('task-1'))));
    expect(answers.toSorted()).toEqual(['accepted', ...Array.from({ length: 9 }, () => 'job_not_delayed')]);
    await expect(promote('task-1')).rejects.toMatchObject({ details: { state: 'waiting', by: 'Ana', via: 'http' } });
    expect(await audits('job.promoted')).toHaveLength(1);
  });

  it('refuses a job that does not wait for its time, and one that there is not', async () => {
    await control.plan('task-1');
    expect(await refusal(promote('task-1'))).toBe('job_not_delayed');
    expect(await refusal(promote('task-2'))).toBe('not_found');
  });
});

describe('removing', () => {
  it('ends the job with a letter born discarded, and takes it out of Redis', async () => {
    const { plane, plan, handedOver, run, queues, db, audits } = control;
    await plane.start(plane.relay());
    await plan('task-1');
    await handedOver();
    const { letterId } = await remove('task-1');
    expect(await run('task-1')).toMatchObject({ state: 'dead', cause: 'removed' });
    const { rows } = await db.query(sql`select state, cause from ops.dead_letter_queue where id = ${letterId}::uuid`);
    expect(rows).toEqual([{ state: 'discarded', cause: 'removed' }]);
    await pollUntil(async () => (await queues.counts('work')).waiting === 0);
    expect(await audits('job.removed')).toMatchObject([
      { target_id: 'task-1', reason: 'sent twice', details: { dead_letter_id: letterId } },
    ]);
  });

  it('again says that it was so, and records nothing', async () => {
    await control.plan('task-1');
    told.length = 0;
    const first = await remove('task-1');
    expect(await remove('task-1')).toEqual({ letterId: first.letterId, already: true });
    expect(await control.audits('job.removed')).toHaveLength(1);
    expect(told).toEqual(['task-1']);
  });

  it('refuses a job that is under way, one that has ended, and one that there is not', async () => {
    const { plane, plan, run } = control;
    const gate = Promise.withResolvers<void>();
    await plane.run({
      work: async () => {
        await gate.promise;
        return done;
      },
    });
    await plan('task-1');
    await pollUntil(async () => (await run('task-1'))?.started === 1);
    expect(await refusal(remove('task-1'))).toBe('job_active');
    gate.resolve();
    await pollUntil(async () => (await run('task-1'))?.state === 'done');
    expect(await refusal(remove('task-1'))).toBe('job_ended');
    expect(await refusal(remove('task-2'))).toBe('not_found');
  });

  it('races with the start on one row: each job runs or is removed, never both, never neither', async () => {
    const { plane, plan, db, handedOver } = control;
    const ran: string[] = [];
    const handler: JobHandler = async (job) => {
      ran.push(job.runKey);
      return done;
    };
    const keys = Array.from({ length: 40 }, (_, n) => `task-${n}`);
    for (const key of keys) await plan(key);
    await plane.start(plane.relay());
    await handedOver();
    await plane.start(plane.worker({ work: { handler, concurrency: 4 } }));
    const answers = await Promise.all(keys.map((key) => refusal(remove(key))));
    await pollUntil(async () => (await db.query(sql`select from ops.job_run where state = 'enqueued'`)).rowCount === 0);
    const removed = keys.filter((_key, at) => answers[at] === 'accepted');
    expect([...removed, ...ran].toSorted()).toEqual(keys.toSorted());
    expect((await db.query(sql`select from ops.dead_letter_queue where cause = 'removed'`)).rowCount).toBe(
      removed.length,
    );
  });

  it('of one job by twenty people at once has one who did it', async () => {
    const { plan, audits, db } = control;
    await plan('task-1');
    const answers = await Promise.all(Array.from({ length: 20 }, () => remove('task-1')));
    expect(answers.filter(({ already }) => !already)).toHaveLength(1);
    expect(new Set(answers.map(({ letterId }) => letterId)).size).toBe(1);
    expect(await audits('job.removed')).toHaveLength(1);
    expect((await db.query(sql`select from ops.dead_letter_queue`)).rowCount).toBe(1);
  });
});
