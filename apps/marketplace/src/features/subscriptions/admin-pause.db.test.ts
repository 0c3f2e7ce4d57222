import { randomUUID } from 'node:crypto';
import { type Database, sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeUser } from '../../testing/auth.ts';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { adminPauseRoutes } from './admin-pause-routes.ts';
import { providerRoutes } from './provider-routes.ts';
import { reactivateSubscriptions } from './reactivate.ts';

let world: TestWorld;
let db: Database;
let app: FastifyInstance;

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
  const deps = { db, log: world.log, setLowBalance: async () => undefined };
  app = await openTestServer(world.log, {
    routes: (server) => {
      adminPauseRoutes(server, deps);
      providerRoutes(server, deps);
    },
  });
});
afterAll(async () => {
  await app.close();
  await world.close();
});

async function subscribed(status: 'active' | 'paused_user' | 'paused_funds' | 'cancelled', cents = 5_000) {
  const { id: levelId } = await world.make.level({
    nicheId: (await world.make.niche()).id,
    priceCents: 1_000,
    vclock: 90,
  });
  const provider = await world.make.provider();
  const { id } = await world.make.subscription({ providerId: provider.id, levelId, status });
  if (cents > 0) await world.make.credit({ providerId: provider.id, amountCents: cents });
  return { id, provider };
}

async function act(id: string, verb: 'pause' | 'resume', memo = 'their leads bounce') {
  const headers = signedInAs((await makeUser(db)).id, 'admin');
  const answer = await app.inject({
    method: 'POST',
    url: `/admin/subscriptions/${id}/${verb}`,
    headers,
    payload: { memo },
  });
  const { status, changed, code } = answer.json();
  return answer.statusCode === 200 ? [status, changed] : [answer.statusCode, code];
}

describe("an administrator's pause", () => {
  it('stands against its owner, against money and against the schedule', async () => {
    const { id, provider } = await subscribed('active');
    expect(await act(id, 'pause')).toEqual(['paused_admin', true]);
    expect(await act(id, 'pause')).toEqual(['paused_admin', false]);
    const wish = await app.inject({
      method: 'PATCH',
      url: `/provider/subscriptions/${id}`,
      headers: signedInAs(provider.userId, 'provider'),
      payload: { status: 'active' },
    });
    expect([wish.statusCode, wish.json().code]).toEqual([409, 'paused_by_admin']);
    await world.make.credit({ providerId: provider.id, amountCents: 90_000 });
    await reactivateSubscriptions({ db, runId: randomUUID(), log: world.log, metrics: world.metrics });
    expect(await act(id, 'pause')).toEqual(['paused_admin', false]);
    expect(await act(id, 'resume')).toEqual(['active', true]);
    const { rows } = await db.query(sql`
      select s.vt, s.paused_from, array(select reason || ' ' || action from ops.audit_log where target_id = s.id::text order by seq) as acts
      from subscription s where s.id = ${id}`);
    const acts = ['their leads bounce subscription.paused', 'their leads bounce subscription.resumed'];
    expect(rows).toEqual([{ vt: 90, paused_from: null, acts }]);
  });

  it('gives back the pause of its owner, and asks the balance about all else', async () => {
    const own = await subscribed('paused_user');
    const poor = await subscribed('paused_funds', 0);
    const rich = await subscribed('paused_funds', 0);
    for (const { id } of [own, poor, rich]) await act(id, 'pause');
    await world.make.credit({ providerId: rich.provider.id, amountCents: 1_000 });
    expect([await act(own.id, 'resume'), await act(poor.id, 'resume'), await act(rich.id, 'resume')]).toEqual([
      ['paused_user', true],
      ['paused_funds', true],
      ['active', true],
    ]);
    expect(await act(rich.id, 'resume')).toEqual(['active', false]);
  });

  it('is not for what is cancelled or not there', async () => {
    const { id } = await subscribed('cancelled');
    expect([await act(id, 'pause'), await act(id, 'resume'), await act(randomUUID(), 'pause')]).toEqual([
      [409, 'invalid_state'],
      [409, 'invalid_state'],
      [404, 'not_found'],
    ]);
    expect(await act(id, 'pause', 'short')).toEqual([400, 'validation_failed']);
  });
});
