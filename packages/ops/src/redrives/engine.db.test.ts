import { afterEach, describe, expect, it } from 'vitest';
import { armFailpoint } from '../failpoints/index.ts';
import { sql } from '../postgres/index.ts';
import { bury as giveUp, type Job, type JobHandler } from '../queues/index.ts';
import { pollUntil } from '../testing/index.ts';
import type { PlanRequest } from './contract.ts';
import { abortRedrive, acknowledgeRedrive, continueRedrive, pauseRedrive, resumeRedrive, setRate } from './index.ts';
import { ana, bo, bury, effect, openRedrives, type Redrives } from './redrives.fixture.ts';

let opened: Redrives;
afterEach(() => opened.close());

/** A redrive of all letters of `mail`, started. Rate `auto`, without a canary unless `options` say so. */
async function started(options: Partial<PlanRequest['options']> = {}, request: Partial<PlanRequest> = {}) {
  const asked = { rate: 'auto', canary: null, ...options } as PlanRequest['options'];
  const { id } = await opened.plan({ filter: 'queue:mail', options: asked, ...request });
  await opened.start(id);
  return id;
}

const once = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => ({ n: from + at, times: 1 }));
const reason = 'as agreed in the room';

describe('a redrive', () => {
  it('runs exactly the frozen letters, whatever dies after the plan', async () => {
    opened = await openRedrives();
    await bury(opened, 30);
    const { id } = await opened.plan({ filter: 'queue:mail', options: { rate: 'auto' } as never });
    await bury(opened, 20, { from: 100 });
    await opened.start(id);
    await opened.work(effect);
    await opened.plane.start(opened.engine());
    const ended = await opened.ended(id);
    expect(await opened.effects()).toEqual(once(1, 30));
    expect(ended.progress).toEqual({
      total: 30,
      planned: 0,
      enqueued: 0,
      succeeded: 30,
      failed: 0,
      skipped: 0,
      cancelled: 0,
    });
    expect(ended.canary).toMatchObject({ picked: 5, verdict: 'passed', versions: ['0.0.0'] });
    const { rows } = await opened.db.query(
      sql`select state, count(*)::int as letters from ops.dead_letter_queue group by 1 order by 1`,
    );
    expect(rows).toEqual([
      { state: 'pending', letters: 20 },
      { state: 'resolved', letters: 30 },
    ]);
    const { rows: audited } = await opened.db.query<{ rows: number }>(sql`
      select count(*)::int as rows from ops.audit_log
      where action = 'dlq.job_retried' and details ->> 'redrive_id' = ${id} and actor = 'ana'`);
    expect(audited).toEqual([{ rows: 30 }]);
  });

  it('says how many of its items failed, and ends all the same', async () => {
    opened = await openRedrives();
    await bury(opened, 20);
    await opened.work(async (job: Job<{ n: number }>) => (job.payload.n === 7 ? giveUp(new Error('no')) : effect(job)));
    await opened.plane.start(opened.engine());
    const id = await started({ stop_when: { success_below: 0, new_fingerprint: false } });
    expect((await opened.ended(id)).progress).toMatchObject({ succeeded: 19, failed: 1 });
  });

  it('sends to another queue when it was told to', async () => {
    opened = await openRedrives();
    await bury(opened, 3);
    const queues: string[] = [];
    await opened.work(async (job: Job<{ n: number }>) => {
      queues.push(job.queue);
      return effect(job);
    });
    await opened.plane.start(opened.engine());
    const id = await started({ target_queue: 'other' });
    await opened.ended(id);
    expect(queues).toEqual(['other', 'other', 'other']);
  });

  it.each(['resolve', 'discard'] as const)('can %s in bulk, and be undone by another that restores', async (action) => {
    opened = await openRedrives();
    await bury(opened, 12);
    await opened.plane.start(opened.engine());
    const id = await started({}, { action });
    expect((await opened.ended(id)).progress).toMatchObject({ succeeded: 12 });
    const states = () =>
      opened.db
        .query<{ state: string }>(sql`select distinct state from ops.dead_letter_queue`)
        .then(({ rows }) => rows);
    expect(await states()).toEqual([{ state: action === 'resolve' ? 'resolved' : 'discarded' }]);
    const back = await started({}, { action: 'restore' });
    expect((await opened.ended(back)).progress).toMatchObject({ succeeded: 12 });
    expect(await states()).toEqual([{ state: 'pending' }]);
  });

  it('waits while another works on its queue, says behind which, and then goes', async () => {
    opened = await openRedrives();
    const ids = await bury(opened, 10);
    const first = await started({ rate: 1 }, { ids: ids.slice(0, 5), filter: undefined });
    const second = await started({}, { ids: ids.slice(5), filter: undefined });
    await opened.plane.start(opened.engine());
    await opened.ended(first, 'running');
    expect(await opened.read(second)).toMatchObject({
      state: 'waiting',
      waiting_behind: { id: first, state: 'running' },
    });
    await opened.work(effect);
    await opened.write((tx) => setRate(tx, { id: first, actor: ana, rate: 500 }));
    await opened.ended(second);
    expect(await opened.effects()).toEqual(once(1, 10));
  });

  it('keeps to its rate', async () => {
    opened = await openRedrives();
    await bury(opened, 60);
    const id = await started({ rate: 20 });
    await opened.plane.start(opened.engine());
    await pollUntil(async () => (await sentItems(id)) === 60, { deadlineMs: 10_000 });
    const { rows } = await opened.db.query<{ most: number; span_s: number }>(sql`
      select max(n)::int as most, extract(epoch from max(at) - min(at))::float8 as span_s
      from (select enqueued_at as at, count(*) over (order by enqueued_at range between current row and interval '1 s' following) as n
            from ops.redrive_item where redrive_id = ${id}) seconds`);
    expect(rows[0]?.most).toBeLessThanOrEqual(28);
    expect(rows[0]?.span_s).toBeGreaterThan(2.2);
    expect(rows[0]?.span_s).toBeLessThan(4);
  });

  it('never has more out than its window', async () => {
    opened = await openRedrives();
    await bury(opened, 50);
    const id = await started();
    await opened.plane.start(opened.engine({ limits: { window: 20 } }));
    await pollUntil(async () => (await opened.read(id)).rate.limited_by === 'window');
    expect(await sentItems(id)).toBe(20);
    await opened.work(effect);
    await opened.ended(id);
    expect(await opened.effects()).toEqual(once(1, 50));
  });

  it('skips what somebody else took meanwhile', async () => {
    opened = await openRedrives();
    const ids = await bury(opened, 5);
    const id = await started();
    await opened.db.query(sql`
      update ops.dead_letter_queue set state = 'resolved', resolved_at = now(), version = 2 where id = ${ids[0]}`);
    await opened.work(effect);
    await opened.plane.start(opened.engine());
    await opened.ended(id);
    expect(await opened.items(id)).toEqual([
      { outcome: 'skipped', why: 'already_resolved', items: 1 },
      { outcome: 'succeeded', why: null, items: 4 },
    ]);
  });

  it('skips an item that breaks its claim, and takes its neighbours', async () => {
    opened = await openRedrives();
    const ids = await bury(opened, 9);
    await opened.db.query(sql`
      update ops.dead_letter_queue set root_key = '' where id = ${ids[4]}`);
    await opened.db.query(sql`alter table ops.job_run add check (root_key <> '')`);
    const id = await started();
    await opened.work(effect);
    await opened.plane.start(opened.engine());
    await opened.ended(id);
    expect(await opened.items(id)).toEqual([
      { outcome: 'skipped', why: 'claim_failed', items: 1 },
      { outcome: 'succeeded', why: null, items: 8 },
    ]);
  });
});

function canaryOf(size: number, min_success: number, then: number[]) {
  // oxlint-disable-next-line unicorn/no-thenable -- a list of numbers
  return { size, min_success, then };
}

describe('a canary', () => {
  /** Fails with an error that no letter has, from this letter on. */
  const failing: JobHandler<{ n: number }> = async () => giveUp(new TypeError('cannot read the template'));

  it('that meets a new error halts the redrive with no more than itself sent', async () => {
    opened = await openRedrives();
    await bury(opened, 40);
    await opened.work(failing);
    await opened.plane.start(opened.engine());
    const id = await started({ canary: canaryOf(5, 0, [1]) });
    const stopped = await opened.ended(id, 'stopped');
    expect(stopped).toMatchObject({
      canary: { picked: 5, verdict: 'failed' },
      stopped_because: { rule: 'canary_failed' },
      new_fingerprints: [expect.stringMatching(/^v1_/)],
    });
    expect(await sentItems(id)).toBeLessThanOrEqual(5);
  });

  it('without outcomes in its time is inconclusive, and a person may overrule it', async () => {
    opened = await openRedrives();
    await bury(opened, 12);
    await opened.db.query(sql`
      insert into ops.dead_letter_group (fingerprint, title, error_type, message, first_seen, last_seen)
      values ('v1_known', 'Error: no', 'Error', 'no', now(), now())`);
    await opened.plane.start(opened.engine({ canaryWithinMs: 100 }));
    const id = await started({ canary: canaryOf(3, 1, [0.5, 1]) });
    expect(await opened.ended(id, 'stopped')).toMatchObject({
      canary: { picked: 3, verdict: 'inconclusive' },
      stopped_because: { rule: 'canary_inconclusive' },
    });
    const { rows } = await opened.db.query(sql`select last_canary ->> 'verdict' as verdict from ops.dead_letter_group`);
    expect(rows).toEqual([{ verdict: 'inconclusive' }]);
    await opened.work(effect);
    await opened.write((tx) => continueRedrive(tx, { id, actor: bo, reason }));
    await expect(opened.write((tx) => continueRedrive(tx, { id, actor: bo, reason }))).rejects.toMatchObject({
      code: 'not_stopped',
    });
    await opened.ended(id);
    expect(await opened.effects()).toEqual(once(1, 12));
    expect(await opened.audits(id)).toContain('redrive.verdict_overridden');
  });

  it('is followed by a ramp that stops when too few succeed', async () => {
    opened = await openRedrives();
    await bury(opened, 400);
    await opened.db.query(sql`update ops.dead_letter_queue set fingerprint = 'v1_' || (payload ->> 'n')`);
    await opened.work(async (job: Job<{ n: number }>) =>
      job.payload.n > 5 && job.payload.n < 395 ? giveUp(new Error('no')) : effect(job),
    );
    await opened.plane.start(opened.engine());
    const id = await started({
      canary: canaryOf(2, 1, [0.1, 1]),
      stop_when: { success_below: 0.9, new_fingerprint: false },
    });
    const stopped = await opened.ended(id, 'stopped');
    expect(stopped).toMatchObject({ canary: { verdict: 'passed' }, stopped_because: { rule: 'success_below' } });
    expect(await sentItems(id)).toBeLessThanOrEqual(40);
  });
});

describe('a running redrive', () => {
  it('sends nothing while it is paused, and goes on where it was', async () => {
    opened = await openRedrives();
    await bury(opened, 40);
    const id = await started({ rate: 10 });
    await opened.work(effect);
    await opened.plane.start(opened.engine());
    await pollUntil(async () => (await sentItems(id)) > 5);
    expect(await opened.write((tx) => pauseRedrive(tx, { id, actor: ana, reason }))).toEqual({ already: false });
    expect(await opened.write((tx) => pauseRedrive(tx, { id, actor: ana, reason }))).toEqual({ already: true });
    const sent = await sentItems(id);
    await pollUntil(async () => (await opened.effects()).length === sent);
    expect(await sentItems(id)).toBe(sent);
    await opened.write((tx) => setRate(tx, { id, actor: ana, rate: 'auto' }));
    await opened.write((tx) => setRate(tx, { id, actor: ana, rate: 'auto' }));
    await opened.write((tx) => resumeRedrive(tx, { id, actor: ana }));
    await opened.ended(id);
    expect(await opened.effects()).toEqual(once(1, 40));
    await opened.write((tx) => acknowledgeRedrive(tx, { id, actor: bo }));
    await opened.write((tx) => acknowledgeRedrive(tx, { id, actor: ana }));
    expect((await opened.read(id)).acknowledged_by).toEqual({ id: 'bo', name: 'Bo' });
    expect(await opened.audits(id)).toEqual([
      'redrive.planned',
      'redrive.started',
      'redrive.paused',
      'redrive.rate_changed',
      'redrive.resumed',
      'redrive.acknowledged',
    ]);
    await expect(opened.write((tx) => pauseRedrive(tx, { id, actor: ana }))).rejects.toMatchObject({
      code: 'redrive_done',
    });
  });

  it('cancels what it has not sent when it is aborted, and leaves those letters as they are', async () => {
    opened = await openRedrives();
    await bury(opened, 40);
    const id = await started({ rate: 20 });
    await opened.work(effect);
    await opened.plane.start(opened.engine());
    await pollUntil(async () => (await sentItems(id)) > 3);
    await opened.write((tx) => abortRedrive(tx, { id, actor: ana, reason, recall: false }));
    const { progress } = await opened.ended(id, 'aborted');
    expect(progress.succeeded + progress.cancelled).toBe(40);
    expect(await opened.effects()).toHaveLength(progress.succeeded);
    const { rows } = await opened.db.query(sql`
      select count(*)::int as letters from ops.dead_letter_queue where state = 'pending' and version = 1`);
    expect(rows).toEqual([{ letters: progress.cancelled }]);
  });

  it('touches nothing when it is aborted in the time to think', async () => {
    opened = await openRedrives();
    await bury(opened, 4);
    const { id } = await opened.plan({ filter: 'queue:mail' });
    await opened.start(id, { undoMs: 60_000 });
    await opened.plane.start(opened.engine());
    await opened.write((tx) => abortRedrive(tx, { id, actor: ana, reason, recall: false }));
    await opened.ended(id, 'aborted');
    expect(await opened.items(id)).toEqual([{ outcome: 'cancelled', why: null, items: 4 }]);
  });

  it('takes back what waits in Redis when that is asked of its abort', async () => {
    opened = await openRedrives();
    await bury(opened, 10);
    const id = await started();
    await opened.plane.start(opened.plane.relay());
    await opened.plane.start(opened.engine());
    await pollUntil(async () => (await opened.queues.counts('mail')).waiting === 10);
    await opened.write((tx) => abortRedrive(tx, { id, actor: ana, reason, recall: true }));
    await opened.ended(id, 'aborted');
    expect(await opened.items(id)).toEqual([{ outcome: 'cancelled', why: 'recalled', items: 10 }]);
    expect((await opened.queues.counts('mail')).waiting).toBe(0);
    const again = await started();
    await opened.work(effect);
    await opened.ended(again);
    expect(await opened.effects()).toEqual(once(1, 10));
  });
});

describe('the engine', () => {
  it('does each item once, also when two work without regard for the lease', async () => {
    opened = await openRedrives();
    await bury(opened, 300);
    await opened.work(effect);
    const free = { hold: async () => true, resign: async () => {} };
    for (let at = 0; at < 3; at += 1) await opened.plane.start(opened.engine({ lease: free, batch: 7 }));
    const id = await started();
    expect((await opened.ended(id)).progress).toMatchObject({ succeeded: 300, skipped: 0 });
    expect(await opened.effects()).toEqual(once(1, 300));
    const { rows } = await opened.db.query(sql`select max(generation)::int as most from ops.dead_letter_queue`);
    expect(rows).toEqual([{ most: 1 }]);
  });

  it.each(['redrive.before_claim', 'redrive.after_claim', 'redrive.after_commit'])(
    'goes on after a fall at %s, and runs nothing twice',
    async (point) => {
      opened = await openRedrives();
      await bury(opened, 100);
      await opened.work(effect);
      const id = await started();
      const hits: string[] = [];
      const failpoint = armFailpoint(`${point}:throw@3`, (name) => hits.push(name));
      const falling = opened.engine({
        batch: 10,
        failpoint,
        lease: { hold: async () => hits.length === 0, resign: async () => {} },
      });
      await opened.plane.start(falling);
      await pollUntil(() => hits.length > 0);
      await opened.plane.start(opened.engine());
      await opened.ended(id);
      expect(await opened.effects()).toEqual(once(1, 100));
    },
  );

  it('does not burst after a rest', async () => {
    opened = await openRedrives();
    await bury(opened, 100);
    const id = await started({ rate: 20 });
    const first = opened.engine();
    await opened.plane.start(first);
    await pollUntil(async () => (await sentItems(id)) > 10);
    await first.stop();
    const sent = await sentItems(id);
    await opened.db.query(sql`update ops.redrive set due = due - interval '1 hour'`);
    const second = opened.engine();
    await opened.plane.start(second);
    await pollUntil(async () => (await sentItems(id)) > sent);
    await second.stop();
    expect((await sentItems(id)) - sent).toBeLessThan(15);
  });
});

async function sentItems(id: string): Promise<number> {
  const { rows } = await opened.db.query<{ sent: number }>(sql`
    select count(*)::int as sent from ops.redrive_item where redrive_id = ${id} and enqueued_at is not null`);
  return rows[0]?.sent ?? 0;
}
