import fastify, { type FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import type { FailedSets } from '../queues/index.ts';
import { adminRoutes, type Authorize } from '../http/index.ts';
import { redriveDetail, redriveItems, redriveList } from './contract.ts';
import { bury, effect, openRedrives, type Redrives } from './redrives.fixture.ts';
import type { RedriveHost } from './index.ts';

const everything = ['dlq.read', 'dlq.retry', 'dlq.edit', 'redrive.plan', 'redrive.run', 'redrive.approve'];
const reason = 'as agreed in the room';

let opened: Redrives;
let app: FastifyInstance;
afterEach(async () => {
  await app.close();
  await opened.close();
});

/** The redrives of the API. Headers say who asks: `x-name`, `x-lacks` (a permission), `x-factor: stale`. */
async function open(host: RedriveHost = { undoMs: 0 }) {
  opened = await openRedrives(host);
  const { plane, queues } = opened;
  const authorize: Authorize = ({ headers }) => ({
    actor: { id: String(headers['x-name'] ?? 'ana'), name: String(headers['x-name'] ?? 'Ana'), via: 'http' },
    permissions: new Set(everything.filter((permission) => permission !== headers['x-lacks'])),
    secondFactorAt: new Date(headers['x-factor'] === 'stale' ? 0 : Date.now()),
  });
  const { log, metrics } = plane;
  const unused = { failedSets: {} as FailedSets, sweep: async () => {}, deathHooks: {} };
  app = fastify();
  await app.register(adminRoutes({ ...plane, ...unused, queues, redrives: host, web: { log, metrics, authorize } }));
  let key = 0;
  return async (
    method: 'GET' | 'POST' | 'PUT',
    url: string,
    payload?: object,
    headers: Record<string, string> = {},
  ) => {
    key += 1;
    const all = { 'idempotency-key': `key-${key}-of-a-test`, ...headers };
    const answer = await app.inject({ method, url: `/redrives${url}`, headers: all, ...(payload && { payload }) });
    return { status: answer.statusCode, body: answer.json(), headers: answer.headers };
  };
}

const ask = { name: 'SMTP outage', filter: 'queue:mail', options: { rate: 'auto' } };
const consent = ({ plan_hash, included }: { plan_hash: string; included: number }) => ({
  plan_hash,
  confirm_count: included,
  reason,
});

describe('the redrives of the API', () => {
  it('are planned, started and followed to their end', async () => {
    const call = await open();
    await bury(opened, 12);
    const planned = await call('POST', '', ask);
    expect(planned).toMatchObject({ status: 201, body: { state: 'planned', included: 12, options: { rate: 'auto' } } });
    const { id } = planned.body;
    const started = await call('POST', `/${id}/start`, consent(planned.body));
    expect(started).toMatchObject({ status: 200, body: { state: 'waiting', reason, undo_until: expect.any(String) } });
    await opened.work(effect);
    await opened.plane.start(opened.engine());
    await opened.ended(id);
    const { body } = await call('GET', `/${id}`);
    expect(redriveDetail.strict().parse(body)).toMatchObject({ state: 'done', progress: { succeeded: 12 } });
    const list = await call('GET', '?state=done,aborted');
    expect(redriveList.parse(list.body).redrives.map((redrive) => redrive.id)).toEqual([id]);
    const acknowledged = await call('POST', `/${id}/acknowledge`);
    expect(acknowledged.body).toMatchObject({ acknowledged_by: { id: 'ana' } });
    expect((await call('POST', `/${id}/acknowledge`)).body.already).toBe(true);
  });

  it('list their items by outcome, page by page', async () => {
    const call = await open();
    await bury(opened, 5);
    const { body } = await call('POST', '', ask);
    const first = redriveItems.parse((await call('GET', `/${body.id}/items?outcome=planned&limit=3`)).body);
    const { next_cursor } = first.pagination;
    const second = redriveItems.parse(
      (await call('GET', `/${body.id}/items?outcome=planned&limit=3&cursor=${next_cursor}`)).body,
    );
    expect([...first.items, ...second.items].map(({ ord }) => ord)).toEqual([1, 2, 3, 4, 5]);
    expect(second.pagination.next_cursor).toBeNull();
    expect((await call('GET', `/${body.id}/items?cursor=${next_cursor}`)).body.code).toBe('cursor_invalid');
  });

  it('go through the list newest first', async () => {
    const call = await open();
    await bury(opened, 1);
    const ids: string[] = [];
    for (let at = 0; at < 3; at += 1) ids.unshift((await call('POST', '', ask)).body.id);
    const first = (await call('GET', '?limit=2')).body;
    const second = (await call('GET', `?limit=2&cursor=${first.pagination.next_cursor}`)).body;
    expect([...first.redrives, ...second.redrives].map(({ id }: { id: string }) => id)).toEqual(ids);
  });

  it('start once for one key, and answer a repeat with the first answer', async () => {
    const call = await open();
    await bury(opened, 2);
    const { body } = await call('POST', '', ask);
    const headers = { 'idempotency-key': 'the-same-key' };
    const first = await call('POST', `/${body.id}/start`, consent(body), headers);
    const again = await call('POST', `/${body.id}/start`, consent(body), headers);
    expect(again).toMatchObject({ status: 200, body: first.body, headers: { 'idempotency-replayed': 'true' } });
    const other = await call('POST', `/${body.id}/start`, consent(body));
    expect(other).toMatchObject({
      status: 409,
      body: { error: 'Conflict', code: 'already_started', details: { by: 'Ana' } },
    });
  });

  it('ask for a key, a fresh second factor and the permission of what they do', async () => {
    const call = await open();
    await bury(opened, 2);
    const { body } = await call('POST', '', ask);
    const start = (headers: Record<string, string>) => call('POST', `/${body.id}/start`, consent(body), headers);
    expect((await start({ 'x-factor': 'stale' })).body.code).toBe('mfa_stale');
    expect((await start({ 'x-lacks': 'redrive.run' })).body).toMatchObject({ details: { permission: 'redrive.run' } });
    expect((await start({ 'x-lacks': 'dlq.retry' })).body).toMatchObject({
      code: 'missing_permission',
      details: { permission: 'dlq.retry' },
    });
    const bare = await app.inject({ method: 'POST', url: `/redrives/${body.id}/start`, payload: consent(body) });
    expect(bare.json()).toMatchObject({ code: 'idempotency_key_required' });
    expect((await opened.read(body.id)).state).toBe('planned');
  });

  it.each([
    ['no filter and no ids', {}, 'validation_failed'],
    ['both', { filter: 'queue:mail', ids: ['7f1c1f52-5f9e-4c2a-9d3e-0d4d1b6a2f10'] }, 'validation_failed'],
    ['an empty filter', { filter: '' }, 'filter_too_wide'],
    ['a filter that is none', { filter: 'queue:mail colour:red' }, 'filter_invalid'],
    ['a rate that is none', { filter: 'queue:mail', options: { rate: 501 } }, 'validation_failed'],
    // oxlint-disable-next-line unicorn/no-thenable -- a list of numbers
    ['a ramp that does not end', { filter: 'queue:mail', options: { canary: { then: [0.5] } } }, 'validation_failed'],
    ['a patch', { filter: 'queue:mail', options: { patch: [] } }, 'validation_failed'],
  ])('refuse a plan with %s', async (_what, part, code) => {
    const call = await open();
    expect(await call('POST', '', { name: 'x', ...part })).toMatchObject({
      status: 400,
      body: { error: 'Bad request', code },
    });
  });

  it('answer 400 to a malformed id and 404 to one that is not there', async () => {
    const call = await open();
    expect(await call('GET', '/nonsense')).toMatchObject({ status: 400, body: { code: 'bad_id' } });
    const absent = '/7f1c1f52-5f9e-4c2a-9d3e-0d4d1b6a2f10';
    for (const path of [absent, `${absent}/items`]) expect((await call('GET', path)).body.code).toBe('not_found');
    for (const act of ['pause', 'resume', 'continue', 'abort', 'approve']) {
      expect((await call('POST', `${absent}/${act}`, { reason })).body.code).toBe('not_found');
    }
  });

  it('are paused, resumed, slowed and aborted, and say when that was so already', async () => {
    const call = await open();
    await bury(opened, 5);
    const { body } = await call('POST', '', ask);
    await call('POST', `/${body.id}/start`, consent(body));
    expect((await call('POST', `/${body.id}/pause`, { reason })).body.state).toBe('paused');
    expect((await call('POST', `/${body.id}/pause`, {})).body).toMatchObject({ state: 'paused', already: true });
    expect((await call('PUT', `/${body.id}/rate`, { rate: 3 })).body.rate.asked).toBe(3);
    expect((await call('POST', `/${body.id}/continue`, { reason })).body.code).toBe('not_stopped');
    expect((await call('POST', `/${body.id}/resume`)).body.state).toBe('canary');
    expect((await call('POST', `/${body.id}/abort`, {})).body.code).toBe('reason_required');
    expect((await call('POST', `/${body.id}/abort`, { reason })).body.state).toBe('aborting');
    expect((await call('POST', `/${body.id}/abort`, { reason })).body.already).toBe(true);
    expect((await call('POST', `/${body.id}/acknowledge`)).body.code).toBe('redrive_not_running');
    expect((await call('POST', `/${body.id}/start`, consent(body))).body.code).toBe('already_started');
  });

  it('need a second person where the plan is large', async () => {
    const call = await open({ undoMs: 0, approvalAbove: 2 });
    await bury(opened, 3);
    const { body } = await call('POST', '', ask);
    expect((await call('POST', `/${body.id}/start`, consent(body))).body).toMatchObject({
      error: 'Unprocessable',
      code: 'approval_needed',
      details: { because: 'size' },
    });
    expect((await call('POST', `/${body.id}/approve`)).body.code).toBe('self_approval');
    expect((await call('POST', `/${body.id}/approve`, {}, { 'x-name': 'bo' })).body.approved_by).toEqual({
      id: 'bo',
      name: 'bo',
    });
    expect((await call('POST', `/${body.id}/start`, consent(body))).status).toBe(200);
  });
});
