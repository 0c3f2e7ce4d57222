import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { activateProvider, reinstateProvider, suspendProvider } from './index.ts';

let world: TestWorld;
beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world?.close());

type Turn = typeof activateProvider;
const turn = (what: Turn, userId: string) => world.db.transaction((tx) => what(tx, userId));

async function providerIn(status: string) {
  const { id } = await world.make.user({ role: 'provider' });
  await world.db.query(
    sql`insert into provider (user_id, company, tz, status) values (${id}, 'Roofs', 'UTC', ${status})`,
  );
  return id;
}
async function standing(userId: string) {
  const { rows } = await world.db.query<{ status: string; version: number; types: string[] }>(sql`
    select p.status, p.version,
           array(select type from ops.event_outbox e where e.aggregate_id = p.id::text order by id) as types
    from provider p where user_id = ${userId}`);
  return rows[0];
}

it('a waiting provider becomes active once, with its event', async () => {
  const user = await providerIn('pending');
  expect([await turn(activateProvider, user), await turn(activateProvider, user)]).toEqual([true, false]);
  expect(await standing(user)).toEqual({ status: 'active', version: 2, types: ['provider.activated'] });
});

it('a provider stops with its user and goes on with it', async () => {
  const user = await providerIn('active');
  expect([await turn(suspendProvider, user), await turn(suspendProvider, user)]).toEqual([true, false]);
  expect(await standing(user)).toMatchObject({ status: 'suspended' });
  expect([await turn(reinstateProvider, user), await turn(reinstateProvider, user)]).toEqual([true, false]);
  const types = ['provider.suspended', 'provider.reinstated'];
  expect(await standing(user)).toEqual({ status: 'active', version: 3, types });
});

it('a provider who was suspended for another reason, waits or is closed does not come back with its user', async () => {
  for (const status of ['suspended', 'pending', 'closed']) {
    const user = await providerIn(status);
    expect([await turn(suspendProvider, user), await turn(reinstateProvider, user)]).toEqual([false, false]);
    expect(await standing(user)).toEqual({ status, version: 1, types: [] });
  }
});

it('a user without a provider is no fault', async () => {
  const { id } = await world.make.user();
  expect(await turn(activateProvider, id)).toBe(false);
});
