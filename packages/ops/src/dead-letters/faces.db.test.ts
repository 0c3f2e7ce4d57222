import fastify, { type FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { breakable, openLetters } from './letters.fixture.ts';

const everything = ['dlq.read', 'dlq.retry', 'dlq.resolve', 'dlq.discard', 'dlq.edit'];
const operator = { id: '7f1c1f52-5f9e-4c2a-9d3e-0d4d1b6a2f10', name: 'Ana', via: 'http' } as const;

let opened: Awaited<ReturnType<typeof openLetters>> & { app: FastifyInstance };
afterEach(async () => {
  await opened.app.close();
  await opened.plane.close();
});

/** The API over a plane on which `task-1` died. Who asks says so in headers. */
async function open() {
  const letters = await openLetters({
    authorize: ({ headers }) => {
      if (headers.authorization === undefined) return undefined;
      const factor = headers['x-factor'];
      return {
        actor: operator,
        permissions: new Set(headers.authorization === 'none' ? [] : everything),
        secondFactorAt: factor === 'none' ? undefined : new Date(factor === 'stale' ? 0 : Date.now()),
      };
    },
  });
  const app = fastify();
  await app.register(letters.plane.http, { prefix: '/api/v1/admin' });
  opened = { ...letters, app };
  const { state, handler } = breakable();
  await letters.plane.run({ work: handler });
  await letters.plan(1);
  const { id } = await letters.letterOf('task-1');
  const at = `/api/v1/admin/queues/dlq/${id}`;
  const call = (method: 'POST' | 'DELETE', path: string, payload?: object, headers: Record<string, string> = {}) =>
    app.inject({
      method,
      url: path.startsWith('/') ? path : `${at}${path && `/${path}`}`,
      headers: { authorization: 'yes', ...headers },
      ...(payload && { payload }),
    });
  return { ...opened, id, call, state };
}

describe('POST /queues/dlq/:id/retry', () => {
  it('answers word for word as specified, with what is added', async () => {
    const { call, id } = await open();
    const { statusCode, json } = await call('POST', 'retry');
    expect(statusCode).toBe(200);
    expect(json()).toEqual({
      ok: true,
      job_id: `dlq-${id}-r1`,
      message: 'Job re-enqueued successfully',
      state: 'retrying',
      generation: 1,
      queue: 'work',
      dispatch: 'under_way',
    });
  });

  it('accepts an empty body with a JSON content type', async () => {
    const { call } = await open();
    const { statusCode } = await call('POST', 'retry', undefined, { 'content-type': 'application/json' });
    expect(statusCode).toBe(200);
  });

  it('gives one of fifty a 200, and tells forty-nine who was first', async () => {
    const { call, audits } = await open();
    const answers = await Promise.all(Array.from({ length: 50 }, () => call('POST', 'retry')));
    const by = Map.groupBy(answers, ({ statusCode }) => statusCode);
    expect([by.get(200)?.length, by.get(409)?.length]).toEqual([1, 49]);
    for (const answer of by.get(409) ?? []) {
      expect(answer.json()).toMatchObject({
        error: 'Conflict',
        code: 'already_retrying',
        details: { by: 'Ana', via: 'http' },
      });
    }
    expect(await audits('dlq.job_retried')).toHaveLength(1);
  });

  it('gives all of them the first answer when they send one key', async () => {
    const { call, audits } = await open();
    const key = { 'idempotency-key': 'retry-key-1' };
    const answers = await Promise.all(Array.from({ length: 10 }, () => call('POST', 'retry', undefined, key)));
    expect(answers.map(({ statusCode }) => statusCode)).toEqual(Array.from({ length: 10 }, () => 200));
    expect(new Set(answers.map(({ json }) => json().job_id)).size).toBe(1);
    expect(await audits('dlq.job_retried')).toHaveLength(1);
  });

  it.each<[string, string, object | undefined, Record<string, string>, number, object]>([
    [
      'nobody',
      'retry',
      undefined,
      { authorization: '' },
      401,
      { error: 'Authentication required', code: 'no_session' },
    ],
    [
      'without the permission',
      'retry',
      undefined,
      { authorization: 'none' },
      403,
      { error: 'Insufficient permissions', code: 'missing_permission' },
    ],
    ['without a second factor', 'retry', undefined, { 'x-factor': 'none' }, 403, { code: 'mfa_required' }],
    [
      'an edit with a stale second factor',
      'retry',
      { patch: [{ op: 'remove', path: '/n' }] },
      { 'x-factor': 'stale' },
      403,
      { code: 'mfa_stale' },
    ],
    ...[
      { op: 'copy', from: '/n', path: '/m' },
      { op: 'move', from: '/n', path: '/m' },
      { op: 'test', path: '/n', value: 1 },
    ].map((operation): [string, string, object, Record<string, string>, number, object] => [
      `without dlq.reveal an edit that tells of values: ${operation.op}`,
      'retry',
      { patch: [operation], dry_run: true },
      {},
      403,
      { code: 'missing_permission', details: { permission: 'dlq.reveal' } },
    ]),
    ['a bad id', '/api/v1/admin/queues/dlq/42/retry', undefined, {}, 400, { error: 'Bad request', code: 'bad_id' }],
    [
      'an unknown id',
      '/api/v1/admin/queues/dlq/7f1c1f52-5f9e-4c2a-9d3e-0d4d1b6a2f11/retry',
      undefined,
      {},
      404,
      { error: 'Not found', code: 'not_found' },
    ],
    ['an unknown key', 'retry', { now: true }, {}, 400, { code: 'validation_failed' }],
    ['a short reason', 'retry', { reason: 'x' }, {}, 400, { code: 'reason_required' }],
    [
      'a version of the past',
      'retry',
      { expected_version: 0 },
      {},
      409,
      { code: 'version_changed', details: { version: 1 } },
    ],
    [
      'an unknown queue',
      'retry',
      { target_queue: 'x', reason: 'let me try' },
      {},
      422,
      { error: 'Unprocessable', code: 'target_refuses_kind' },
    ],
  ])('refuses %s', async (_what, path, payload, headers, status, body) => {
    const { call } = await open();
    const sent = headers.authorization === '' ? undefined : headers;
    const answer = sent
      ? await call('POST', path, payload, sent)
      : await opened.app.inject({ method: 'POST', url: `/api/v1/admin/queues/dlq/${opened.plane.prefix}/retry` });
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject(body);
    expect(answer.json().correlation_id).not.toBe('');
  });
});

describe('DELETE /queues/dlq/:id', () => {
  it('answers word for word as specified, and says so again with who did it', async () => {
    const { call, audits, letters } = await open();
    const first = await call('DELETE', '');
    expect([first.statusCode, first.json()]).toEqual([200, { ok: true, message: 'DLQ entry marked as resolved' }]);
    expect((await letters())[0]).toMatchObject({ state: 'resolved', resolution: { reason: 'not given' } });
    const again = await call('DELETE', '');
    expect(again.json()).toMatchObject({ ok: true, message: 'DLQ entry marked as resolved', already: true, by: 'Ana' });
    expect(await audits('dlq.entry_resolved')).toHaveLength(1);
  });

  it('is refused while a retry runs', async () => {
    const { call, plane, id } = await open();
    await plane.db.query(sql`update ops.dead_letter_queue set state = 'retrying' where id = ${id}::uuid`);
    const { statusCode, json } = await call('DELETE', '');
    expect([statusCode, json().code]).toEqual([409, 'already_retrying']);
  });
});

describe('resolve, discard and restore', () => {
  it('need a reason', async () => {
    const { call } = await open();
    for (const action of ['resolve', 'discard', 'restore']) {
      const { statusCode, json } = await call('POST', action);
      expect([statusCode, json().code]).toEqual([400, 'reason_required']);
    }
  });

  it.each(['the mail \u0000 was sent', 'the mail \ud800 was sent'])(
    'refuse a reason that no row can hold: %j',
    async (reason) => {
      const { call } = await open();
      const fault = { at: 'body.reason', message: 'holds NUL or half of a surrogate pair' };
      for (const path of ['resolve', 'discard', 'restore', 'retry', '']) {
        const answer = await call(path ? 'POST' : 'DELETE', path, { reason });
        expect(answer.statusCode).toBe(400);
        expect(answer.json()).toMatchObject({ code: 'validation_failed', details: { faults: [fault] } });
      }
    },
  );

  it('answer the letter as it is afterwards', async () => {
    const { call, id } = await open();
    expect((await call('POST', 'discard', { reason: 'never needed' })).json()).toMatchObject({
      id,
      state: 'discarded',
      version: 2,
    });
    expect((await call('POST', 'restore', { reason: 'needed after all' })).json()).toMatchObject({
      state: 'pending',
      version: 3,
    });
    const ticket = 'https://tickets.example/7';
    expect((await call('POST', 'resolve', { reason: 'done by hand', ticket })).json()).toMatchObject({
      state: 'resolved',
      resolution: { how: 'manual', reason: 'done by hand', ticket },
    });
  });
});
