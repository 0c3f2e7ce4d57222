import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { openSearch, type Search } from './search.fixture.ts';

let search: Search;
beforeAll(async () => {
  search = await openSearch();
});
beforeEach(() => search.clear());
afterAll(() => search.close());

function open() {
  let keys = 0;
  const save = (payload: object, headers: object = {}) => {
    keys += 1;
    return search.request('POST', '/views', {
      payload,
      headers: { 'idempotency-key': `view-key-${keys}`, ...headers },
    });
  };
  return { ...search, save };
}

describe('saved views', () => {
  it('begin with those of the system', async () => {
    const { get, db } = open();
    const names = async () =>
      (await get('/views')).json().views.map(({ name, q }: Record<string, string>) => [name, q]);
    expect(await names()).toEqual([
      ['Open', 'state:open'],
      ['Mine', 'assignee:me state:open'],
      ['Regressed', 'fp:"none" state:open'],
      ['New in the last hour', 'age:<1h state:open'],
      ['Died of a crash', 'cause:crash_loop,stalled state:open'],
    ]);
    await db.query(sql`
      insert into ops.dead_letter_group (fingerprint, title, error_type, message, first_seen, last_seen, regressed_at)
      values ('v1_9c41d0aa00000001', 't', 'Error', 'm', now(), now(), now())`);
    expect((await names())[2]).toEqual(['Regressed', 'fp:v1_9c41d0aa00000001 state:open']);
  });

  it('hold filters in canonical form, are audited, and belong to who saved them', async () => {
    const { get, save, audits, db } = open();
    const { statusCode, json } = await save({ name: 'Mail', q: 'queue:email  state:open' });
    expect(statusCode).toBe(201);
    expect(json()).toMatchObject({ name: 'Mail', q: 'queue:email_send state:open', scope: 'mine', owner: 'Ana' });
    expect(await audits()).toMatchObject([{ action: 'view.saved', target_id: json().id }]);
    expect((await get('/views')).json().views).toHaveLength(6);
    await db.query(sql`update ops.saved_view set owner = 'other'`);
    expect((await get('/views')).json().views).toHaveLength(5);
    await db.query(sql`update ops.saved_view set scope = 'all'`);
    expect((await get('/views')).json().views).toHaveLength(6);
  });

  it.each([
    ['without a key', { name: 'A', q: '' }, { 'idempotency-key': '' }, 400, 'validation_failed'],
    ['without a name', { name: ' ', q: '' }, {}, 400, 'validation_failed'],
    ['with a wrong filter', { name: 'A', q: 'state:opne' }, {}, 400, 'filter_invalid'],
    [
      'for all without the permission',
      { name: 'A', q: '', scope: 'all' },
      { authorization: 'dlq.read' },
      403,
      'missing_permission',
    ],
  ])('are refused %s', async (_case, payload, headers, status, code) => {
    const { save } = open();
    const { statusCode, json } = await save(payload, headers);
    expect([statusCode, json().code]).toEqual([status, code]);
  });

  it('have a name once for each owner', async () => {
    const { save } = open();
    await save({ name: 'Mail', q: '' });
    const { statusCode, json } = await save({ name: 'Mail', q: 'state:open' });
    expect([statusCode, json().code]).toEqual([409, 'name_taken']);
  });

  it('are removed by their owner, and shared ones by who may annotate', async () => {
    const { save, request, db, audits } = open();
    const own = (await save({ name: 'Mail', q: '' })).json().id;
    expect((await request('DELETE', `/views/${own}`)).json()).toEqual({ ok: true });
    expect((await request('DELETE', `/views/${own}`)).statusCode).toBe(404);
    expect((await audits()).map(({ action }) => action)).toEqual(['view.saved', 'view.removed']);
    const shared = (await save({ name: 'All', q: '', scope: 'all' })).json().id;
    await db.query(sql`update ops.saved_view set owner = 'other'`);
    const reader = { headers: { authorization: 'dlq.read' } };
    expect((await request('DELETE', `/views/${shared}`, reader)).statusCode).toBe(404);
    expect((await request('DELETE', `/views/${shared}`)).statusCode).toBe(200);
    expect((await request('DELETE', '/views/open')).json().code).toBe('bad_id');
  });
});
