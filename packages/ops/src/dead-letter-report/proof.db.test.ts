import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { openLease } from '../leases/index.ts';
import { sql } from '../postgres/index.ts';
import { bury, enqueue } from '../queues/index.ts';
import { pollUntil } from '../testing/index.ts';
import { type CaptureProof, openProbe } from './index.ts';
import { askDue } from './probe.ts';
import { openReports, work } from './report.fixture.ts';

let opened: Awaited<ReturnType<typeof openReports>>;
afterEach(() => opened.plane.close());
const open = async (options?: Parameters<typeof openReports>[0]) => (opened = await openReports(options));

const proofOf = async () => {
  const { status, body } = await opened.call('GET', '/proof');
  expect(status).toBe(200);
  return body as unknown as CaptureProof;
};
const rowOf = async (name: string) => (await proofOf()).rows.find((row) => row.name === name);
const die = () => ({ work: async () => bury(new Error('no place')) });
const never = { everyMs: 3_600_000, sweepEveryMs: 3_600_000, reconcileEveryMs: 3_600_000 };

/** As another program that uses the same Redis would add it. */
async function failInRedis(id: string, finishedOn = String(Date.now() - 60_000)): Promise<void> {
  const connection = new Redis(inject('redisUrl'), { maxRetriesPerRequest: null });
  const queue = new Queue('work', { connection, prefix: opened.plane.prefix });
  await queue.add('foreign', { any: 1 }, { jobId: id });
  const key = `${opened.plane.prefix}:work`;
  await connection
    .multi()
    .lrem(`${key}:wait`, 0, id)
    .zadd(`${key}:failed`, Date.now(), id)
    .hset(`${key}:${id}`, 'failedReason', 'boom', 'finishedOn', finishedOn)
    .exec();
  await queue.close();
  connection.disconnect();
}

describe('the capture proof', () => {
  it('is whole without a death, for every queue', async () => {
    await open();
    expect(await proofOf()).toMatchObject({
      ok: true,
      gap: 0,
      counted_from: 'redis',
      rows: [
        {
          name: 'mail',
          source: 'queue',
          failed: 0,
          captured: 0,
          gap: 0,
          oldest_gap_s: null,
          capture_errors: 0,
          probe: null,
        },
        { name: 'work', failed: 0 },
      ],
    });
  });

  it('counts each death once, as open, resolved or discarded', async () => {
    const { plane } = await open();
    await plane.run(die());
    for (const n of [1, 2, 3]) {
      await plane.db.transaction((tx) => enqueue(tx, work, 'task', { n }, { key: `task-${n}` }));
    }
    await pollUntil(async () => (await rowOf('work'))?.failed === 3);
    await plane.db.query(sql`
      update ops.dead_letter_queue set state = case root_key when 'task-1' then 'resolved' else 'discarded' end, resolved_at = now()
      where root_key in ('task-1', 'task-2')`);
    expect(await rowOf('work')).toMatchObject({ failed: 3, captured: 3, resolved: 1, discarded: 1, open: 1, gap: 0 });
  });

  it('never shows a gap while captures are under way', async () => {
    const { plane } = await open();
    await plane.run(die());
    for (let n = 0; n < 60; n += 1) {
      await plane.db.transaction((tx) => enqueue(tx, work, 'task', { n }, { key: `task-${n}` }));
    }
    const gaps = new Set<number>();
    await pollUntil(
      async () => {
        const proof = await proofOf();
        gaps.add(proof.gap);
        return proof.rows.find(({ name }) => name === 'work')?.failed === 60;
      },
      { deadlineMs: 15_000 },
    );
    expect([...gaps]).toEqual([0]);
  });

  it('shows a letter that is missing, with its age', async () => {
    const { plane } = await open();
    await plane.run(die());
    await plane.db.transaction((tx) => enqueue(tx, work, 'task', { n: 1 }, { key: 'task-1' }));
    await pollUntil(async () => (await rowOf('work'))?.failed === 1);
    await plane.db.query(sql`update ops.job_run set died_at = now() - interval '1 hour'`);
    await plane.db.query(sql`truncate ops.dead_letter_queue, ops.dead_letter_change, ops.dead_letter_stock`);
    const proof = await proofOf();
    expect(proof).toMatchObject({ ok: false, gap: 1 });
    expect(proof.rows.find(({ name }) => name === 'work')?.oldest_gap_s).toBeGreaterThan(3_500);
    await plane.metrics.render();
    expect(plane.metrics.value('dlq_proof_gap', { queue: 'work' })).toBe(1);
    expect(plane.metrics.value('dlq_proof_gap', { queue: 'mail' })).toBe(0);
  });

  it('counts what only Redis knows, until it is repaired: one repair at a time', async () => {
    const { plane, call } = await open(never);
    await failInRedis('foreign-1');
    expect(await proofOf()).toMatchObject({ ok: false, gap: 1 });
    expect((await rowOf('work'))?.oldest_gap_s).toBeGreaterThan(50);
    await plane.db.query(sql`
      insert into ops.lease (name, holder, term, expires_at) values ('proof-repair', gen_random_uuid(), 1, now() + interval '1 minute')`);
    const reason = 'the alert says so';
    expect(await call('POST', '/proof/repair', { reason }, 'repair-key-1')).toMatchObject({
      status: 409,
      body: { code: 'in_progress' },
    });
    await plane.db.query(sql`delete from ops.lease`);
    expect(await call('POST', '/proof/repair', { reason }, 'repair-key-1')).toMatchObject({
      status: 202,
      body: { ok: true },
    });
    await pollUntil(async () => (await proofOf()).ok);
    expect(await rowOf('work')).toMatchObject({ failed: 1, captured: 1, open: 1, gap: 0 });
    const { rows } = await plane.db.query(sql`select reason from ops.audit_log where action = 'dlq.proof_repaired'`);
    expect(rows).toEqual([{ reason }]);
  });

  it('counts what somebody else put into Redis, whatever it holds', async () => {
    await open(never);
    await failInRedis('no-time', 'garbage');
    await failInRedis('far-time', '9e15');
    await failInRedis('with-\u0000-nul');
    expect(await proofOf()).toMatchObject({ ok: false, gap: 3 });
  });

  it('asks for a reason to repair', async () => {
    await open();
    expect(await opened.call('POST', '/proof/repair', {})).toMatchObject({
      status: 400,
      body: { code: 'reason_required' },
    });
  });

  it('says so when Redis cannot be asked', async () => {
    await open({ redisUrl: 'redis://127.0.0.1:1' });
    expect(await proofOf()).toMatchObject({ ok: true, counted_from: 'postgres' });
  });

  it('counts captures that lost evidence', async () => {
    const { plane } = await open();
    await plane.db.query(sql`insert into ops.job_death (queue, deaths, capture_errors) values ('work', 0, 2)`);
    expect(await rowOf('work')).toMatchObject({ capture_errors: 2, gap: 0 });
    await plane.metrics.render();
    expect(plane.metrics.value('dlq_capture_errors_total', { queue: 'work' })).toBe(2);
  });
});

/** A worker that lives, as far as its heartbeat says. */
async function workOn(...queues: string[]): Promise<void> {
  await opened.plane.db.query(sql`
    insert into ops.worker (id, host, pid, version, queues) values (gen_random_uuid(), 'host', 1, '1.0.0', ${queues}::text[])`);
}

describe('the probe', () => {
  it('dies in each queue that is worked on, and is captured without being counted', async () => {
    const { plane } = await open({ probeEveryMs: 3_600_000 });
    await plane.run(die());
    const result = await pollUntil(async () => {
      const probe = (await rowOf('work'))?.probe;
      return probe?.ok && probe;
    });
    expect(result).toMatchObject({ ok: true, took_ms: expect.any(Number) });
    // Nobody works on the other queue: it gets no probe, which would only wait.
    expect((await rowOf('mail'))?.probe).toBeNull();
    expect(await rowOf('work')).toMatchObject({ failed: 0, captured: 0, open: 0, gap: 0 });
    await plane.metrics.render();
    const at = plane.metrics.value('capture_probe_last_success_timestamp_seconds', { queue: 'work' });
    expect(at).toBeGreaterThan(Date.now() / 1_000 - 60);
    expect(plane.metrics.value('capture_probe_last_success_timestamp_seconds', { queue: 'mail' })).toBeUndefined();
  });

  it('is planned once in its time, however many schedulers start', async () => {
    const { plane } = await open();
    const probe = () =>
      openProbe({ ...plane, lease: { hold: async () => true, resign: async () => {} }, lookEveryMs: 10 });
    await workOn('mail', 'work');
    for (const each of [probe(), probe(), probe()]) await plane.start(each);
    const runs = async () =>
      (await plane.db.query(sql`select queue, count(*)::int as runs from ops.job_run group by queue order by queue`))
        .rows;
    const once = [
      { queue: 'mail', runs: 1 },
      { queue: 'work', runs: 1 },
    ];
    await pollUntil(async () => (await runs()).length === 2);
    expect(await runs()).toEqual(once);
    await plane.db.query(sql`update ops.capture_probe set asked_at = now() - interval '59 minutes'`);
    // No queue gets a second probe beside one that waits: the first of `mail` never begins.
    await plane.db.query(sql`
      update ops.job_run set state = 'dead', cause = 'permanent', finished_at = now(), died_at = now() where queue = 'work'`);
    await plane.db.query(sql`update ops.capture_probe set asked_at = now() - interval '61 minutes'`);
    await plane.start(probe());
    await pollUntil(async () => JSON.stringify(await runs()) !== JSON.stringify(once));
    expect(await runs()).toEqual([
      { queue: 'mail', runs: 1 },
      { queue: 'work', runs: 2 },
    ]);
  });

  it('is planned in no queue that nobody works on', async () => {
    const { plane } = await open();
    await workOn('work');
    expect(await askDue(plane.db, 'mail', 0)).toBe(false);
    expect(await askDue(plane.db, 'work', 0)).toBe(true);
    await plane.db.query(sql`update ops.worker set stopped_at = now()`);
    await plane.db.query(sql`
      update ops.job_run set state = 'dead', cause = 'permanent', finished_at = now(), died_at = now()`);
    expect(await askDue(plane.db, 'work', 0)).toBe(false);
  });

  it('is reported once when it began and is not captured within 30 s', async () => {
    const { plane } = await open();
    const lease = openLease(plane.db, { name: 'capture-probe', holder: '00000000-0000-4000-8000-000000000001' });
    await workOn('mail', 'work');
    await plane.start(openProbe({ ...plane, lease, lookEveryMs: 10 }));
    await pollUntil(
      async () => (await plane.db.query(sql`select from ops.capture_probe where run_key <> ''`)).rows.length === 2,
    );
    await plane.db.query(sql`
      update ops.job_run set started = 1, last_started_at = now() - interval '31 seconds' where queue = 'work'`);
    const failures = () => plane.lines.filter(({ event }) => event === 'capture_probe_failed');
    await pollUntil(() => failures().length > 0);
    await pollUntil(async () => (await rowOf('work'))?.probe?.ok === false);
    expect(failures()).toMatchObject([{ level: 'error', metadata: { queue: 'work' } }]);
    expect(plane.metrics.value('capture_probe_failures_total', { queue: 'work' })).toBe(1);
  });
});
