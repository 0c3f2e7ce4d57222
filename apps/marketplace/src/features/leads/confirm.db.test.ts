import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openKeys } from '../../keys.ts';
import { openTestServer } from '../../testing/http.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { confirmToken, expireUnconfirmed, publicLeadRoutes } from './index.ts';

const keys = openKeys({ tokenKey: '5a'.repeat(32) });

let world: TestWorld;
let app: FastifyInstance;
let nicheId: string;

beforeAll(async () => {
  world = await openTestWorld();
  app = await openTestServer(world.log, { routes: (routes) => publicLeadRoutes(routes, { ...world, keys }) });
});
afterAll(async () => {
  await app.close();
  await world.close();
});
beforeEach(async () => {
  nicheId = (await world.make.niche()).id;
});

const post = (url: string, payload: object = {}) => app.inject({ method: 'POST', url, payload });
const confirm = (leadId: string, nonce = 1) => post('/leads/confirm', { token: confirmToken(keys, { leadId, nonce }) });
const pending = (more = {}) => world.make.lead({ nicheId, status: 'pending_confirmation', ...more });

async function read(id: string) {
  const { rows } = await world.db.query(sql`
    select status, version, confirmed_at is not null as confirmed, duplicate_of, risk_flags, confirm_nonce,
           (select array_agg(type order by id) from ops.event_outbox where aggregate_id = lead.id::text) as events
    from lead where id = ${id}`);
  return rows[0];
}

describe('the click on a confirmation link', () => {
  it('confirms the lead once, under the correlation of its submission', async () => {
    const { id, correlationId } = await pending();
    const first = await confirm(id);
    expect([first.statusCode, first.json()]).toEqual([200, { id, status: 'pending_approval' }]);
    expect(first.headers['x-correlation-id']).toBe(correlationId);
    const again = await confirm(id);
    expect([again.statusCode, again.body]).toEqual([200, first.body]);
    expect(await read(id)).toMatchObject({
      status: 'pending_approval',
      version: 2,
      confirmed: true,
      events: ['lead.confirmed'],
    });
    const { rows } = await world.db.query(sql`select correlation_id from ops.event_outbox where aggregate_id = ${id}`);
    expect(rows).toEqual([{ correlation_id: correlationId }]);
    const lines = world.lines.map((line) => JSON.parse(line)).filter((line) => line.metadata.lead_id === id);
    expect(lines).toMatchObject([{ event: 'lead_confirmed', correlation_id: correlationId }]);
  });

  it('at the same moment from twenty places is one click', async () => {
    const { id } = await pending();
    const answers = await Promise.all(Array.from({ length: 20 }, () => confirm(id)));
    expect(answers.map((answer) => answer.statusCode)).toEqual(Array(20).fill(200));
    expect(await read(id)).toMatchObject({ version: 2, events: ['lead.confirmed'] });
  });

  it('says the same whatever became of the lead', async () => {
    const { id } = await pending();
    const first = await confirm(id);
    await world.db.query(sql`update lead set status = 'rejected' where id = ${id}`);
    expect((await confirm(id)).body).toBe(first.body);
  });

  it('with a token we did not make is 404, and with none 400', async () => {
    const { id } = await pending();
    const forged = confirmToken(openKeys({ tokenKey: '00'.repeat(32) }), { leadId: id, nonce: 1 });
    expect((await post('/leads/confirm', { token: forged })).statusCode).toBe(404);
    expect((await post('/leads/confirm', { token: 'x' })).statusCode).toBe(404);
    expect((await confirm(randomUUID())).statusCode).toBe(404);
    expect((await post('/leads/confirm', {})).statusCode).toBe(400);
    expect(await read(id)).toMatchObject({ status: 'pending_confirmation', version: 1 });
  });

  it('after 24 hours, or on a rejected lead, is 410', async () => {
    const late = await pending({ confirmExpiresAt: new Date(Date.now() - 1000) });
    const rejected = await pending();
    await world.db.query(sql`update lead set status = 'rejected' where id = ${rejected.id}`);
    for (const { id } of [late, rejected]) {
      const answer = await confirm(id);
      expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([410, 'expired']);
      expect(await read(id)).toMatchObject({ confirmed: false, version: 1 });
    }
  });

  it('finds the twin that came in at the same moment', async () => {
    const createdAt = new Date();
    const first = await pending({ email: 'twin@example.com', createdAt: new Date(createdAt.getTime() - 5) });
    const second = await pending({ email: 'twin@example.com', createdAt });
    await confirm(second.id);
    expect(await read(second.id)).toMatchObject({ duplicate_of: first.id, risk_flags: ['duplicate'] });
    await confirm(first.id);
    expect(await read(first.id)).toMatchObject({ duplicate_of: null, risk_flags: [] });
  });
});

describe('a link asked for again', () => {
  it('comes at most three times, and each voids the older ones', async () => {
    const { id } = await pending();
    for (let at = 1; at <= 5; at += 1) expect((await post(`/leads/${id}/resend`)).statusCode).toBe(202);
    const { rows } = await world.db.query(
      sql`select dedupe_key from email where related_id = ${id} order by created_at`,
    );
    expect(rows.map((row) => row.dedupe_key)).toEqual([2, 3, 4].map((nonce) => `confirm:${id}:${nonce}`));
    expect((await confirm(id, 1)).statusCode).toBe(410);
    expect((await confirm(id, 4)).statusCode).toBe(200);
    expect(await read(id)).toMatchObject({ status: 'pending_approval', version: 2 });
  });

  it('is answered alike for a lead that is confirmed or unknown, and mails nothing', async () => {
    const lead = await world.make.lead({ nicheId, status: 'pending_approval' });
    for (const id of [lead.id, randomUUID()]) {
      const answer = await post(`/leads/${id}/resend`);
      expect([answer.statusCode, answer.body]).toEqual([202, '{"ok":true}']);
      expect((await world.db.query(sql`select 1 from email where related_id = ${id}`)).rows).toEqual([]);
    }
    expect((await post('/leads/not-an-id/resend')).statusCode).toBe(400);
  });
});

describe('a lead nobody confirms', () => {
  it('expires when its link does, oldest first and no more than asked for', async () => {
    const now = new Date('2026-01-10T00:00:00Z');
    const hoursFromNow = (hours: number) => new Date(now.getTime() + hours * 3_600_000);
    const at = (hours: number) =>
      pending({ createdAt: hoursFromNow(hours - 24), confirmExpiresAt: hoursFromNow(hours) });
    const [older, newer, fresh] = [await at(-48), await at(-24), await at(1)];
    const { log } = world;
    const expire = (limit: number) => world.db.transaction((tx) => expireUnconfirmed(tx, { now, limit }, { log }));
    expect(await expire(1)).toBe(1);
    expect([await read(older.id), await read(newer.id)]).toMatchObject([
      { status: 'expired', version: 2, events: ['lead.expired'] },
      { status: 'pending_confirmation' },
    ]);
    expect(await expire(100)).toBe(1);
    expect(await expire(100)).toBe(0);
    expect([await read(newer.id), await read(fresh.id)]).toMatchObject([
      { status: 'expired' },
      { status: 'pending_confirmation', version: 1, events: null },
    ]);
  });
});
