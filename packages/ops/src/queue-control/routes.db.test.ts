import fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { controlledQueue, explanation, jobList, jobView, queueDetail } from './contract.ts';
import { openControl, work } from './control.fixture.ts';
import { bury, done, queueOverview } from '../queues/index.ts';
import { pollUntil } from '../testing/index.ts';

const operator = { id: '7f1c1f52-5f9e-4c2a-9d3e-0d4d1b6a2f10', name: 'Ana', via: 'http' } as const;

let control: Awaited<ReturnType<typeof openControl>>;
let app: FastifyInstance;
beforeEach(async () => {
  control = await openControl({
    authorize: ({ headers }) => ({
      actor: operator,
      permissions: new Set(String(headers['x-may'] ?? 'queue.read queue.control job.control').split(' ')),
      secondFactorAt: new Date(headers['x-factor'] === 'stale' ? 0 : Date.now()),
    }),
  });
  app = fastify();
  await app.register(control.plane.http, { prefix: '/api/v1/admin' });
});
afterEach(async () => {
  await app.close();
  await control.close();
});

const get = (path: string, headers: Record<string, string> = {}) =>
  app.inject({ url: `/api/v1/admin${path}`, headers });
const post = (path: string, payload: object = {}, headers: Record<string, string> = {}) =>
  app.inject({ method: 'POST', url: `/api/v1/admin${path}`, payload, headers });
const reason = 'the mail server is down';

describe('GET /queues', () => {
  it('shows each queue in the shape of the contract, its pause with who and why', async () => {
    await control.plan('task-1');
    await post(`/queues/${work.name}/pause`, { reason, for_s: 600 });
    const { queues, ...beside } = queueOverview.parse((await get('/queues')).json());
    expect(beside).toEqual({ as_of: expect.any(String), counted_from: 'redis' });
    expect(queues.map(({ name }) => name)).toEqual(['work', 'other']);
    expect(queues[0]).toMatchObject({
      aliases: ['labour'],
      depth: 0,
      active: 0,
      failed_last_hour: 0,
      dlq_size: 0,
      not_dispatched: 1,
      proof_gap: 0,
      attempts_failed_last_hour: null,
      paused: { by: 'Ana', reason, at: expect.any(String), until: expect.any(String) },
      paused_in_redis: true,
    });
    expect(queues[1]?.paused).toBeNull();
  });

  it('counts deaths, open letters and failed attempts', async () => {
    const worker = control.plane.worker({ work: async () => bury(new Error('no')) });
    await control.plane.start(control.plane.relay());
    await worker.start();
    await control.plan('task-1');
    await pollUntil(async () => (await control.run('task-1'))?.state === 'dead');
    await worker.stop();
    const [row] = queueOverview.parse((await get('/queues')).json()).queues;
    expect(row).toMatchObject({ failed_last_hour: 1, dlq_size: 1, attempts_failed_last_hour: 1, proof_gap: 0 });
  });

  it('counts each run that died in the last hour, those of retries where they ran', async () => {
    const letter = (key: string, generation: number, bornAgo: string) => sql`
      insert into ops.dead_letter_queue (queue_name, kind, root_key, run_key, generation, cause, error_type, error_message, fingerprint,
                                         attempts, failed_at, first_failed_at, created_at, correlation_id)
      values ('work', 'task', ${key}, ${key}, ${generation}, 'permanent', 'Error', 'no', 'v1_1', 1, now(), now(), now() - ${bornAgo}::interval, 'c')
      returning id`;
    const idOf = async (statement: ReturnType<typeof letter>) =>
      (await control.db.query<{ id: string }>(statement)).rows[0]?.id ?? '';
    const [young, old] = [await idOf(letter('task-1', 2, '0 s')), await idOf(letter('task-2', 1, '2 hours'))];
    const died = (run: string, queue: string) =>
      control.db.query(sql`
        insert into ops.job_run (run_key, root_key, queue, kind, dlq_id, generation, state, started, finished, max_attempts, finished_at, died_at,
                                 cause, correlation_id)
        values (${run}, 'root', ${queue}, 'task', gen_random_uuid(), 1, 'dead', 1, 1, 1, now(), now(), 'permanent', 'c')`);
    await died(`dlq-${young}-r1`, 'other');
    await died(`dlq-${young}-r2`, 'work');
    await died(`dlq-${old}-r1`, 'work');
    const { queues } = queueOverview.parse((await get('/queues')).json());
    expect(queues.map(({ name, failed_last_hour }) => [name, failed_last_hour])).toEqual([
      ['work', 3],
      ['other', 1],
    ]);
  });

  it('shows what died and was not captured as a gap', async () => {
    await control.db.query(sql`insert into ops.job_death (queue, deaths) values ('work', 3)`);
    expect((await get('/queues')).json()).toMatchObject({ queues: [{ proof_gap: 3 }, { proof_gap: 0 }] });
  });
});

describe('GET /queues/:queue', () => {
  it('shows workers, times, flow and what is unwise, under an alias too', async () => {
    const gate = Promise.withResolvers<void>();
    await control.plane.run({
      work: async (job) => {
        if (job.runKey === 'slow') await gate.promise;
        return done;
      },
    });
    await control.plan('quick');
    await control.plan('slow');
    await pollUntil(async () => (await control.run('quick'))?.state === 'done');
    await pollUntil(async () => (await control.run('slow'))?.started === 1);
    const detail = queueDetail.parse((await get('/queues/labour')).json());
    expect(detail).toMatchObject({
      name: 'work',
      workers: 1,
      processes: [{ version: '0.0.0', active: 1, active_jobs: ['slow'] }],
      wait_ms: { p50: expect.any(Number) },
      measured: { jobs: 1, window_s: 600 },
      in_per_minute: 0.2,
      stalled: 0,
    });
    expect(detail.lint.map(({ code }) => code)).toEqual(['short_backoff']);
    gate.resolve();
  });

  it('answers 404 with the nearest name for one that there is not', async () => {
    const answer = await get('/queues/wrok');
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toMatchObject({
      error: 'Not found',
      code: 'not_found',
      details: { queue: { did_you_mean: 'work', queues: ['work', 'other'] } },
    });
  });
});

describe('pause and resume', () => {
  it('answer with the queue, and a second time that it was so', async () => {
    const first = await post('/queues/labour/pause', { reason });
    expect(first.statusCode).toBe(200);
    expect(controlledQueue.parse(first.json())).toMatchObject({ name: 'work', already: false, paused: { by: 'Ana' } });
    expect((await post(`/queues/${work.name}/pause`, { reason })).json()).toMatchObject({ already: true });
    expect((await post(`/queues/${work.name}/resume`)).json()).toMatchObject({ already: false, paused: null });
    expect((await post(`/queues/${work.name}/resume`)).json()).toMatchObject({ already: true, paused: null });
    expect([(await control.audits('queue.paused')).length, (await control.audits('queue.resumed')).length]).toEqual([
      1, 1,
    ]);
  });

  it.each<[number, string, object, Record<string, string>]>([
    [400, 'reason_required', {}, {}],
    [400, 'validation_failed', { reason, for_s: 0 }, {}],
    [400, 'validation_failed', { reason, forever: true }, {}],
    [403, 'missing_permission', { reason }, { 'x-may': 'queue.read' }],
  ])('answer %i %s to what they cannot do', async (status, code, body, headers) => {
    const answer = await post(`/queues/${work.name}/pause`, body, headers);
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([status, code]);
    expect(await control.audits('queue.paused')).toEqual([]);
  });
});

describe('jobs', () => {
  it('are listed by state, page by page, and a cursor holds for its list alone', async () => {
    for (const n of [1, 2, 3]) await control.plan(`task-${n}`);
    await control.plan('later-1', { delayMs: 60_000, kind: 'later' });
    const first = jobList.parse((await get(`/queues/${work.name}/jobs?state=waiting&limit=2`)).json());
    expect(first.jobs).toMatchObject([
      { job_id: 'task-1', state: 'waiting', dispatched: false, dead_letter_id: null },
      { job_id: 'task-2' },
    ]);
    const cursor = encodeURIComponent(first.pagination.next_cursor ?? '');
    const second = jobList.parse(
      (await get(`/queues/${work.name}/jobs?state=waiting&limit=2&cursor=${cursor}`)).json(),
    );
    expect(second).toMatchObject({ jobs: [{ job_id: 'task-3' }], pagination: { next_cursor: null } });
    expect((await get(`/queues/${work.name}/jobs?state=delayed&cursor=${cursor}`)).json()).toMatchObject({
      code: 'cursor_invalid',
    });
    expect((await get(`/queues/${work.name}/jobs?state=delayed&kind=later`)).json()).toMatchObject({
      jobs: [{ job_id: 'later-1' }],
    });
    expect((await get(`/queues/${work.name}/jobs?state=delayed&kind=task`)).json()).toMatchObject({ jobs: [] });
  });

  it.each(['state=asleep', 'limit=0', 'limit=1e9', 'page=1'])('are not listed with ?%s', async (query) => {
    const answer = await get(`/queues/${work.name}/jobs?${query}`);
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([400, 'validation_failed']);
  });

  it('are listed when they are done and when they are dead', async () => {
    await control.plane.run({ work: async (job) => (job.runKey === 'bad' ? bury(new Error('no')) : done) });
    for (const key of ['good-1', 'good-2', 'bad']) await control.plan(key);
    await pollUntil(
      async () => (await control.db.query(sql`select from ops.job_run where state = 'enqueued'`)).rowCount === 0,
    );
    const list = async (state: string) => jobList.parse((await get(`/queues/${work.name}/jobs?state=${state}`)).json());
    expect(await list('done')).toMatchObject({
      jobs: [{ job_id: 'good-2', state: 'done', dispatched: null }, { job_id: 'good-1' }],
      pagination: { next_cursor: null },
    });
    expect(await list('dead')).toMatchObject({
      jobs: [{ job_id: 'bad', cause: 'permanent', dead_letter_id: expect.any(String) }],
    });
  });

  it('are shown with their payload masked, and each view is audited', async () => {
    await control.plan('task-1');
    const shown = jobView.parse((await get(`/queues/${work.name}/jobs/task-1`)).json());
    expect(shown).toMatchObject({
      payload: { n: 1, email: '[masked]' },
      payload_masked: ['email'],
      attempts_history: [],
      crashes: 0,
      dispatched: false,
    });
    expect(await control.audits('job.viewed')).toMatchObject([{ target_id: 'task-1', details: { payload: 'masked' } }]);
    const may = { 'x-may': 'queue.read dlq.reveal' };
    expect((await get(`/queues/${work.name}/jobs/task-1`, may)).json()).toMatchObject({
      payload: { email: 'ana@example.com' },
    });
    expect((await get(`/queues/${work.name}/jobs/task-1?payload=masked`, may)).json()).toMatchObject({
      payload_masked: ['email'],
    });
    expect((await get(`/queues/${work.name}/jobs/task-1?payload=clear`)).statusCode).toBe(403);
    expect((await get(`/queues/${work.name}/jobs/task-9`)).statusCode).toBe(404);
    expect((await get('/queues/other/jobs/task-1')).statusCode).toBe(404);
    expect((await get(`/queues/${work.name}/jobs/a%00b`)).json()).toMatchObject({ code: 'bad_id' });
    expect(await control.audits('job.viewed')).toHaveLength(3);
  });

  it('that died show their evidence', async () => {
    await control.plane.run({ work: async () => bury(new Error('no such provider')) });
    await control.plan('bad');
    await pollUntil(async () => (await control.run('bad'))?.state === 'dead');
    const shown = jobView.parse((await get(`/queues/${work.name}/jobs/bad`)).json());
    expect(shown).toMatchObject({
      state: 'dead',
      cause: 'permanent',
      payload: { n: 1 },
      attempts_history: [{ attempt: 1, outcome: 'died', error: { message: 'no such provider' } }],
      worker: { version: '0.0.0' },
    });
  });

  it('are promoted by one of ten, and removed with a fresh second factor', async () => {
    await control.plan('task-1', { delayMs: 60_000 });
    const answers = await Promise.all(Array.from({ length: 10 }, () => post('/queues/labour/jobs/task-1/promote')));
    expect(answers.filter(({ statusCode }) => statusCode === 200)).toHaveLength(1);
    expect(answers.filter(({ statusCode }) => statusCode === 409)).toHaveLength(9);
    expect(
      (await post(`/queues/${work.name}/jobs/task-1/remove`, { reason }, { 'x-factor': 'stale' })).json(),
    ).toMatchObject({
      code: 'mfa_stale',
    });
    expect((await post(`/queues/${work.name}/jobs/task-1/remove`)).json()).toMatchObject({ code: 'reason_required' });
    const removed = await post(`/queues/${work.name}/jobs/task-1/remove`, { reason });
    expect(removed.json()).toEqual({ ok: true, dead_letter_id: expect.any(String), already: false });
    expect((await post(`/queues/${work.name}/jobs/task-1/remove`, { reason })).json()).toMatchObject({ already: true });
  });
});

describe('explain', () => {
  it('tells why a queue and a job wait, and what would help', async () => {
    await post(`/queues/${work.name}/pause`, { reason });
    await control.plane.start(control.plane.relay());
    await control.plan('task-1');
    await control.plan('later-1', { kind: 'later' });
    await control.handedOver();
    const queue = explanation.parse((await get('/queues/labour/explain')).json());
    expect(queue).toMatchObject({ state: 'waiting', ahead: 2, eta: null });
    expect(queue.reasons.map(({ code }) => code)).toEqual(['queue_paused', 'no_workers']);
    const job = explanation.parse((await get(`/queues/${work.name}/jobs/later-1/explain`)).json());
    expect(job).toMatchObject({ state: 'waiting', ahead: 1 });
    expect(job.reasons.map(({ code }) => code)).toEqual(['queue_paused', 'no_workers', 'behind_priority']);
    expect((await get(`/queues/${work.name}/jobs/task-9/explain`)).statusCode).toBe(404);
  });

  it('sees a job that waits in Postgres, one under way, and one whose time has not come', async () => {
    await control.plan('task-1');
    const why = async (jobId: string) =>
      explanation.parse((await get(`/queues/${work.name}/jobs/${jobId}/explain`)).json());
    expect((await why('task-1')).reasons.map(({ code }) => code)).toEqual(['no_workers', 'not_dispatched']);
    const gate = Promise.withResolvers<void>();
    await control.plane.run({
      work: async () => {
        await gate.promise;
        return done;
      },
    });
    await pollUntil(async () => (await control.run('task-1'))?.started === 1);
    expect(await why('task-1')).toMatchObject({ state: 'active', reasons: [], ahead: null, eta: null });
    await control.plan('task-2', { delayMs: 60_000 });
    await control.handedOver();
    expect(await why('task-2')).toMatchObject({ state: 'delayed', reasons: [{ code: 'delayed_until' }] });
    gate.resolve();
  });
});
