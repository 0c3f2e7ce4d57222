import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { done } from '../queues/index.ts';
import { pollUntil } from '../testing/index.ts';
import { ana, forgetKey, openControl } from './control.fixture.ts';
import { applyWish, pauseQueue, resumeQueue } from './index.ts';

let control: Awaited<ReturnType<typeof openControl>>;
beforeEach(async () => {
  control = await openControl();
});
afterEach(() => control.close());

const pause = async (forS?: number) => {
  const { db, queues } = control;
  const wished = await db.transaction((tx) =>
    pauseQueue(tx, { queue: 'work', actor: ana, reason: 'the mail server is down', forS }),
  );
  await applyWish(db, queues, 'work');
  return wished;
};
const resume = async (pausedInRedis = false) => {
  const { db, queues } = control;
  const wished = await db.transaction((tx) => resumeQueue(tx, { queue: 'work', actor: ana, pausedInRedis }));
  await applyWish(db, queues, 'work');
  return wished;
};
const isPaused = () => control.queues.isPaused('work');

describe('a pause', () => {
  it('keeps jobs from beginning until the queue is resumed', async () => {
    await pause();
    const begun: string[] = [];
    await control.plane.run({
      work: async (job) => {
        begun.push(job.runKey);
        return done;
      },
    });
    await control.plan('task-1');
    await control.handedOver();
    expect((await control.queues.counts('work')).waiting).toBe(1);
    expect(begun).toEqual([]);
    await resume();
    await pollUntil(async () => (await control.run('task-1'))?.state === 'done');
  });

  it('is recorded once, with who and why, however many ask', async () => {
    const wishes = await Promise.all(Array.from({ length: 10 }, () => pause()));
    expect(wishes.filter(({ already }) => !already)).toHaveLength(1);
    expect(wishes.map((one) => one.pause)).toEqual(
      wishes.map(() => ({ by: 'Ana', at: expect.any(String), reason: 'the mail server is down', until: null })),
    );
    expect(await control.audits('queue.paused')).toMatchObject([
      { actor_name: 'Ana', target_id: 'work', reason: 'the mail server is down' },
    ]);
  });

  it('and a resume of a queue that runs, change and record nothing a second time', async () => {
    expect(await resume()).toEqual({ already: true, pause: null });
    await pause();
    expect(await resume()).toEqual({ already: false, pause: null });
    expect(await resume()).toEqual({ already: true, pause: null });
    expect(await control.audits('queue.resumed')).toHaveLength(1);
    expect(await isPaused()).toBe(false);
  });

  it('against a resume leaves Redis as the last commit says', async () => {
    for (let round = 0; round < 10; round += 1) {
      await Promise.all([pause(), resume()]);
      await applyWish(control.db, control.queues, 'work');
      const { rows } = await control.db.query<{ paused: boolean }>(
        sql`select paused_at is not null as paused from ops.queue`,
      );
      expect(await isPaused()).toBe(rows[0]?.paused);
    }
  });

  it('is applied again when Redis forgets it', async () => {
    await pause();
    await forgetKey(control.plane.prefix, 'work', 'meta');
    expect(await isPaused()).toBe(false);
    await control.plane.start(control.plane.scheduler());
    await pollUntil(isPaused);
    await pollUntil(() => control.plane.lines.some(({ event }) => event === 'queue_wish_applied'));
  });

  it('ends by itself when its time is over, and says so in the audit log', async () => {
    await control.plane.start(control.plane.scheduler());
    expect(await pause(1)).toMatchObject({ pause: { until: expect.any(String) } });
    expect(await isPaused()).toBe(true);
    await pollUntil(async () => !(await isPaused()));
    expect(await control.audits('queue.resumed')).toMatchObject([{ actor_name: 'system', target_id: 'work' }]);
  });

  it('of somebody behind the plane is left alone, and ended by a resume', async () => {
    await control.plane.start(control.plane.scheduler());
    await control.queues.pause('work');
    await pause();
    await resume();
    expect(await isPaused()).toBe(false);
    await control.queues.pause('other');
    const { db, queues } = control;
    expect(
      await db.transaction((tx) => resumeQueue(tx, { queue: 'other', actor: ana, pausedInRedis: true })),
    ).toMatchObject({ already: false });
    await applyWish(db, queues, 'other');
    expect(await queues.isPaused('other')).toBe(false);
    expect(await control.audits('queue.resumed')).toMatchObject([
      { target_id: 'work' },
      { target_id: 'other', details: { paused_outside: true } },
    ]);
  });
});
