import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { bury, defineQueue, enqueueProbe } from '../queues/index.ts';
import { pollUntil, type TestPlane } from '../testing/index.ts';
import { closeLetters, readStock } from './index.ts';
import { ana, breakable, openLetters, spare, work } from './letters.fixture.ts';

let opened: Awaited<ReturnType<typeof openLetters>>;
afterEach(() => opened.plane.close());
const open = async (options?: Parameters<typeof openLetters>[0]) => (opened = await openLetters(options));

describe('a job that dies', () => {
  it('is captured in the commit of its verdict, with all its evidence', async () => {
    const { plane, plan, letterOf } = await open();
    await plane.run({ work: breakable().handler });
    await plan(1);
    const letter = await letterOf('task-1');
    expect(letter).toMatchObject({
      source: 'queue',
      queue_name: 'work',
      kind: 'task',
      job_id: 'task-1',
      state: 'pending',
      resolved: false,
      cause: 'exhausted',
      payload: { n: 1 },
      payload_bytes: 7,
      error_type: 'Error',
      error_message: 'no connection to 10.0.0.1',
      attempts: 2,
      generation: 0,
      worker_version: '0.0.0',
      evidence_lacks: null,
    });
    expect(letter.stack_trace).toContain('letters.fixture.ts');
    expect(letter.first_failed_at).not.toEqual(letter.failed_at);
    const { rows } = await plane.db.query(sql`select encoding, body, sha256 from ops.dead_letter_payload`);
    expect(rows).toEqual([
      { encoding: 'json', body: '{"n":1}', sha256: '2bfd14f43d17fc7cea24e0917a8879b4b2f880b8baeec1b9d90fbaad655e71bd' },
    ]);
    const run = await plane.db.query(sql`select state, cause from ops.job_run`);
    expect(run.rows).toEqual([{ state: 'dead', cause: 'exhausted' }]);
  });

  it('leaves Redis', async () => {
    const { plane, plan, letterOf } = await open();
    await plane.run({ work: breakable().handler });
    await plan(1);
    await letterOf('task-1');
    await withQueue(plane, (queue) => pollUntil(async () => (await queue.getJob('task-1')) === undefined));
  });

  it('shares a group with deaths of the same kind, and not with others', async () => {
    const { plane, plan, letters } = await open();
    await plane.run({
      work: async (job) => {
        const { n } = job.payload as { n: number };
        return bury(n < 3 ? new Error(`lead ${n} has no place`) : new TypeError('x is not a function'));
      },
    });
    for (const n of [1, 2, 3]) await plan(n);
    await pollUntil(async () => (await letters()).length === 3);
    const [one, two, three] = await letters();
    expect(one?.fingerprint).toBe(two?.fingerprint);
    expect(three?.fingerprint).not.toBe(one?.fingerprint);
    const { rows } = await plane.db.query<{ title: string }>(
      sql`select title from ops.dead_letter_group order by title`,
    );
    expect(rows.map(({ title }) => title)).toEqual(['Error: lead <n> has no place', 'TypeError: x is not a function']);
  });

  it.each<[string, unknown, string]>([
    ['NUL', '\u0000', 'NUL'],
    ['half a surrogate pair', '\ud800', 'half'],
    ['a number beyond 2^53 as text', '9007199254740993', 'number'],
  ])('is captured whatever its payload holds: %s', async (_what, note) => {
    const { plane, letterOf } = await open();
    await plane.run({ work: breakable().handler });
    await opened.plan(1, { note: note as string });
    await letterOf('task-1');
    const { rows } = await plane.db.query<{ body: string }>(sql`select body from ops.dead_letter_payload`);
    expect(rows[0]?.body).toBe(JSON.stringify({ n: 1, note }));
  });

  it.each<[string, () => unknown]>([
    ['undefined', () => undefined],
    [
      'a circular object',
      () =>
        Object.assign(
          {},
          {
            get self() {
              return this;
            },
          },
        ),
    ],
    ['an error with 5 MB of text', () => new Error('x'.repeat(5_000_000))],
    ['an error with NUL and half a pair', () => new Error('a\u0000b\ud800')],
    [
      'an error whose name cannot be read',
      () =>
        Object.defineProperty(new Error('n'), 'name', {
          get: () => {
            throw new Error('no');
          },
        }),
    ],
    [
      'a proxy that throws',
      () =>
        new Proxy(
          {},
          {
            get: () => {
              throw new Error('no');
            },
          },
        ),
    ],
  ])('is captured whatever it throws: %s', async (_what, thrown) => {
    const { plane, plan, letterOf } = await open();
    await plane.run({
      work: async () => {
        throw thrown();
      },
    });
    await plan(1);
    const letter = await letterOf('task-1');
    expect(String(letter.error_message).length).toBeLessThanOrEqual(8 * 1024);
    expect(letter.evidence_lacks).toBeNull();
  });

  it('counts as failed, captured and open', async () => {
    const { plane, plan, letters } = await open();
    await plane.run({ work: breakable().handler });
    for (const n of [1, 2, 3]) await plan(n);
    await pollUntil(async () => (await letters()).length === 3);
    expect(await readStock(plane.db)).toEqual([
      { source: 'queue', queue: 'work', captured: 3, open: 3, resolved: 0, discarded: 0 },
    ]);
    const { rows } = await plane.db.query(sql`select sum(deaths)::int as failed from ops.job_death`);
    expect(rows).toEqual([{ failed: 3 }]);
  });

  it('counts for nothing when it is a probe, and closes itself', async () => {
    const { plane } = await open();
    await plane.run({ work: breakable().handler });
    await plane.db.transaction((tx) => enqueueProbe(tx, 'work'));
    const probe = await pollUntil(async () => {
      const { rows } = await plane.db.query(sql`select state, synthetic from ops.dead_letter_queue`);
      return rows[0];
    });
    expect(probe).toEqual({ state: 'resolved', synthetic: true });
    expect(await readStock(plane.db)).toEqual([]);
    expect((await plane.db.query(sql`select 1 from ops.job_death`)).rows).toEqual([]);
  });
});

describe('the sweeper', () => {
  it('captures a run that BullMQ failed without a word of ours', async () => {
    const { plane, plan, letterOf } = await open();
    await plane.start(plane.relay());
    await plan(1);
    await failInRedis(plane, 'task-1', 'job stalled more than allowable limit');
    await plane.start(plane.scheduler());
    expect(await letterOf('task-1')).toMatchObject({ cause: 'stalled', payload: { n: 1 } });
    await withQueue(plane, (queue) => pollUntil(async () => (await queue.getJob('task-1')) === undefined));
  });

  it('captures a job of ours that Postgres does not know, and never runs it', async () => {
    const { plane, letterOf } = await open();
    const { state, handler } = breakable();
    await plane.run({ work: handler });
    const meta = { correlation_id: 'forged-0001', enqueued_at: new Date().toISOString() };
    await withQueue(plane, (queue) =>
      queue.add('task', { v: 1, run: 'ghost', root: 'ghost', meta, body: { n: 7 } }, { jobId: 'ghost' }),
    );
    expect(await letterOf('ghost')).toMatchObject({
      cause: 'orphaned',
      payload: { n: 7 },
      correlation_id: 'forged-0001',
    });
    expect(state.runs).toBe(0);
  });

  it('opens the letter of a lost run again, when the same work is planned anew and dies', async () => {
    const { plane, plan, letterOf, letters } = await open();
    await plane.run({ work: breakable().handler });
    const meta = { correlation_id: 'forged-0001', enqueued_at: new Date().toISOString() };
    const lost = { v: 1, run: 'task-1', root: 'task-1', meta, body: { n: 0 } };
    await withQueue(plane, async (queue) => {
      await queue.add('task', lost, { jobId: 'task-1' });
      const { id } = await letterOf('task-1');
      await pollUntil(async () => (await queue.getJob('task-1')) === undefined);
      await plane.db.transaction((tx) => closeLetters(tx, [{ letterId: id }], { action: 'resolve', actor: ana }));
    });
    await plan(1);
    const letter = await letterOf('task-1', 'pending');
    expect(letter).toMatchObject({ cause: 'exhausted', payload: { n: 1 }, payload_version: 1, resolution: null });
    expect(await letters()).toHaveLength(1);
    const failed = await plane.db.query(sql`select sum(deaths)::int as deaths from ops.job_death`);
    expect(failed.rows).toEqual([{ deaths: 1 }]);
    expect(await readStock(plane.db)).toMatchObject([{ captured: 1, open: 1, resolved: 0 }]);
  });

  it('counts evidence that it could not keep once, however often it meets the job', async () => {
    const { plane, letters } = await open();
    const errors = async () =>
      (await plane.db.query<{ n: number }>(sql`select coalesce(sum(capture_errors), 0)::int as n from ops.job_death`))
        .rows[0]?.n;
    await plane.start(plane.scheduler());
    await forgeFailed(plane, 'foreign-1', `"${'x'.repeat(16 * 1024 * 1024)}"`);
    await pollUntil(async () => (await letters()).length === 1);
    // The first stays in Redis, so each pass that takes one of the others meets it again.
    for (const count of [2, 3]) {
      await forgeFailed(plane, `foreign-${count}`, '{}');
      await pollUntil(async () => (await letters()).length === count);
    }
    expect(await errors()).toBe(1);
  });

  it.each<[string, string]>([
    ['not JSON', 'this is { not json'],
    ['nesting 20,000 deep', '['.repeat(20_000) + ']'.repeat(20_000)],
    ['no envelope', '{"some":"thing"}'],
  ])('captures a job that is not ours: %s', async (_what, data) => {
    const { plane, letters } = await open();
    await plane.start(plane.scheduler());
    await forgeFailed(plane, 'foreign-1', data);
    const [letter] = await pollUntil(async () => {
      const rows = await letters();
      return rows.length > 0 && rows;
    });
    expect(letter).toMatchObject({ cause: 'unreadable', job_id: 'foreign-1', payload_bytes: Buffer.byteLength(data) });
    const { rows } = await plane.db.query<{ text: string }>(
      sql`select coalesce(body, convert_from(bytes, 'UTF8')) as text from ops.dead_letter_payload`,
    );
    expect(rows[0]?.text).toBe(data);
  });

  it('captures forged jobs of ours that share their work, with keys, times and counts that Postgres refuses, and their mates', async () => {
    const { plane, letters } = await open();
    const meta = { correlation_id: 'c\u0000\ud800', causation_id: 7, traceparent: '\u0000' };
    const forged = JSON.stringify({ v: 1, run: 'r\u0000', root: 'r\u0000\ud800', meta, body: { n: 1 } });
    await forgeFailed(plane, 'forged-1', forged, { finishedOn: '9e99', atm: '1.5e300', name: 'k\u0000' });
    await forgeFailed(plane, 'forged-2', forged, { finishedOn: 'never', atm: '-1' });
    await forgeFailed(plane, 'mate', '{"some":"thing"}');
    await plane.start(plane.scheduler());
    const rows = await pollUntil(async () => (await letters()).length === 2 && letters());
    expect(new Set(rows.map(({ cause }) => cause))).toEqual(new Set(['orphaned', 'unreadable']));
    await withQueue(plane, (queue) => pollUntil(async () => (await queue.getFailedCount()) === 0));
  });

  it('masks in what Redis says of a failure all that its kind declares to be about persons', async () => {
    const { task } = work.kinds;
    const declared = defineQueue({ ...work, kinds: { task: { ...task, personalPaths: ['/note'] } } });
    const { plane, plan, letters } = await open({ queues: [declared, spare] });
    await plane.start(plane.relay());
    await plan(1, { note: 'gate 4711' });
    await failInRedis(plane, 'task-1', 'Refused: gate 4711 is shut');
    const body = { n: 2, note: 'gate 4711' };
    const meta = { correlation_id: 'forged-0001' };
    const said = { name: 'task', failedReason: 'Refused: gate 4711 is shut' };
    await forgeFailed(plane, 'ghost', JSON.stringify({ v: 1, run: 'ghost', root: 'ghost', meta, body }), said);
    await forgeFailed(plane, 'foreign-1', JSON.stringify(body), said);
    await plane.start(plane.scheduler());
    const rows = await pollUntil(async () => (await letters()).length === 3 && letters());
    const told = rows.map(({ cause, error_message }) => [cause, error_message]);
    expect(new Set(told.map(([cause]) => cause))).toEqual(new Set(['unreadable', 'orphaned', 'permanent']));
    expect(told.map(([, message]) => message)).toEqual(rows.map(() => 'Refused: [masked] is shut'));
  });

  it.each(['data', 'opts', 'progress', 'parent'])(
    'captures a job whose %s no worker can parse, which BullMQ would offer for ever',
    async (field) => {
      const { plane, letters } = await open({ jobLockMs: 500 });
      await plane.run({ work: breakable().handler });
      const redis = new Redis(inject('redisUrl'));
      const key = `${plane.prefix}:work`;
      await redis.hset(`${key}:poison`, {
        name: 'task',
        data: '{}',
        opts: '{}',
        timestamp: '1',
        delay: '0',
        priority: '0',
        [field]: '{not json',
      });
      await redis.multi().lpush(`${key}:wait`, 'poison').zadd(`${key}:marker`, '0', '0').exec();
      const [letter] = await pollUntil(async () => (await letters()).length > 0 && letters(), { deadlineMs: 15_000 });
      expect(letter).toMatchObject({
        cause: 'unreadable',
        job_id: 'poison',
        error_message: 'not JSON: no worker can read it',
      });
      await pollUntil(async () => (await redis.exists(`${key}:poison`)) === 0);
      expect(await redis.lrange(`${key}:active`, 0, -1)).toEqual([]);
      redis.disconnect();
    },
  );

  it('makes no letter of the id of a run whose job Redis lost: the run is handed over again', async () => {
    const { plane, plan, letters, effects } = await open();
    const { state, handler } = breakable();
    state.broken = false;
    await plane.start(plane.relay());
    await plan(1);
    const redis = new Redis(inject('redisUrl'));
    await pollUntil(async () => (await redis.del(`${plane.prefix}:work:task-1`)) === 1);
    await plane.start(plane.worker({ work: handler }));
    await pollUntil(async () => (await redis.zcard(`${plane.prefix}:work:failed`)) === 1);
    await plane.start(plane.scheduler());
    await pollUntil(async () => (await effects()).length === 1);
    expect(await letters()).toEqual([]);
    expect(await effects()).toEqual([{ root: 'task-1', times: 1 }]);
    redis.disconnect();
  });

  it('makes no second letter of one that is captured already', async () => {
    const { plane, plan, letterOf, letters } = await open();
    await plane.start(plane.relay());
    const worker = plane.worker({ work: async () => bury(new Error('no')) });
    await plane.start(worker);
    await plan(1);
    await letterOf('task-1');
    await plane.start(plane.scheduler());
    await withQueue(plane, (queue) => pollUntil(async () => (await queue.getFailedCount()) === 0));
    expect(await letters()).toHaveLength(1);
  });
});

async function withQueue<T>(plane: TestPlane, work: (queue: Queue) => Promise<T>): Promise<T> {
  const redis = new Redis(inject('redisUrl'), { maxRetriesPerRequest: null });
  const queue = new Queue('work', { connection: redis, prefix: plane.prefix });
  try {
    return await work(queue);
  } finally {
    await queue.close();
    redis.disconnect();
  }
}

/** What BullMQ does to a job that stalled too often. */
async function failInRedis(plane: TestPlane, id: string, reason: string): Promise<void> {
  const redis = new Redis(inject('redisUrl'));
  const key = `${plane.prefix}:work`;
  await pollUntil(async () => (await redis.lrem(`${key}:wait`, 1, id)) === 1);
  await redis.hset(`${key}:${id}`, { failedReason: reason, finishedOn: Date.now(), atm: 1 });
  await redis.zadd(`${key}:failed`, String(Date.now()), id);
  redis.disconnect();
}

async function forgeFailed(
  plane: TestPlane,
  id: string,
  data: string,
  also: Record<string, string> = {},
): Promise<void> {
  const redis = new Redis(inject('redisUrl'));
  const key = `${plane.prefix}:work`;
  const finishedOn = String(Date.now());
  await redis.hset(`${key}:${id}`, {
    name: 'foreign',
    data,
    opts: '{}',
    failedReason: 'no',
    finishedOn,
    atm: 1,
    ...also,
  });
  await redis.zadd(`${key}:failed`, finishedOn, id);
  redis.disconnect();
}
