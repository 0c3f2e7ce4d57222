import { type Actor, sql } from '@fmhl/ops';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openTestWorld } from '../../testing/world.ts';
import { adminSubscribeRequest } from './contract.ts';
import { announceUnfunded, pauseUnfunded, resumeFunded, sweepLevel } from './funding.ts';
import { cancelSubscription, changeSubscription, subscribe } from './subscribe.ts';

let world: Awaited<ReturnType<typeof openTestWorld>>;
let niche: { id: string };
let level: { id: string };
let provider: { id: string };
const actor: Actor = { id: 'ada', name: 'Ada', via: 'http' };
const formSchema = { fields: [{ name: 'rooms', label: 'Rooms', type: 'number', required: false }] };

beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world?.close());
beforeEach(async () => {
  niche = await world.make.niche({ formSchema });
  level = await world.make.level({ nicheId: niche.id, priceCents: 1500, vclock: 7_000 });
  provider = await world.make.provider();
});

const setBalance = (cents: number, providerId = provider.id) =>
  world.db.query(sql`
    insert into account (provider_id, balance_cents) values (${providerId}, ${cents})
    on conflict (provider_id) do update set balance_cents = excluded.balance_cents`);

const terms = (more: object = {}) => adminSubscribeRequest.parse({ level_id: level.id, areas: ['US-CA'], ...more });
const add = (more: object = {}) =>
  world.db.transaction((tx) => subscribe(tx, { providerId: provider.id, terms: terms(more), actor }, world));
const change = (id: string, wanted: object, providerId = provider.id) =>
  world.db.transaction((tx) => changeSubscription(tx, { id, providerId, change: wanted, actor }, world));
const cancel = (id: string) =>
  world.db.transaction((tx) => cancelSubscription(tx, { id, providerId: provider.id, actor }, world));

async function stored(id: string) {
  const { rows } = await world.db.query<{ status: string; vt: number; version: number; status_ref: string | null }>(
    sql`select status, vt, version, status_ref from subscription where id = ${id}`,
  );
  return rows[0];
}

async function events(type: string) {
  const { rows } = await world.db.query<{ payload: { count: number; cause: string; subscription_ids: string[] } }>(sql`
    select payload from ops.event_outbox where type = ${type} and payload ->> 'provider_id' = ${provider.id} order by id`);
  return rows.map(({ payload }) => payload);
}

describe('subscribing', () => {
  it('is active at once when the balance pays one lead, and begins at the clock of its level', async () => {
    await setBalance(1500);
    const made = await add({ daily_cap: 3, weight: 4, areas: ['US-CA', 'US-941', 'US-CA'] });
    expect(made).toMatchObject({
      status: 'active',
      daily_cap: 3,
      weight: 4,
      areas: ['US-941', 'US-CA'],
      filter_rules: null,
    });
    expect(await stored(made.id)).toMatchObject({ vt: 7_000, version: 1 });
  });

  it('waits for funds when it does not', async () => {
    expect(await add()).toMatchObject({ status: 'paused_funds' });
    await setBalance(1499);
    await expect(add()).rejects.toMatchObject({ code: 'already_subscribed' });
  });

  it('happens once for each level, however many ask at once', async () => {
    await setBalance(1500);
    const answers = await Promise.allSettled([add(), add(), add(), add()]);
    const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason.code] : []));
    expect(refused).toEqual(Array(3).fill('already_subscribed'));
  });

  it('is possible again after a cancellation', async () => {
    const first = await add();
    await cancel(first.id);
    expect((await add()).id).not.toBe(first.id);
  });

  it('keeps rules that fit the form', async () => {
    const filter_rules = [{ field: 'rooms', op: 'gte', value: 3 }];
    expect((await add({ filter_rules })).filter_rules).toEqual(filter_rules);
  });

  it.each([
    ['an unknown area', { areas: ['US', 'DE'] }, 'validation_failed'],
    [
      'a rule that does not fit the form',
      { filter_rules: [{ field: 'colour', op: 'eq', value: 'red' }] },
      'filter_invalid',
    ],
    ['an unknown level', { level_id: '00000000-0000-4000-8000-000000000000' }, 'not_found'],
  ])('refuses %s', async (_what, more, code) => {
    await expect(add(more)).rejects.toMatchObject({ code });
  });

  it('refuses a retired level', async () => {
    level = await world.make.level({ nicheId: niche.id, status: 'retired' });
    await expect(add()).rejects.toMatchObject({ code: 'invalid_state', details: { status: 'retired' } });
  });
});

describe('a change', () => {
  it('pauses and resumes; who resumes gains no place by the rest', async () => {
    await setBalance(5000);
    const { id } = await add();
    expect(await change(id, { status: 'paused_user' })).toMatchObject({
      changed: true,
      subscription: { status: 'paused_user' },
    });
    await world.db.query(sql`update level set vclock = 9000 where id = ${level.id}`);
    expect(await change(id, { status: 'active' })).toMatchObject({ changed: true, subscription: { status: 'active' } });
    expect(await stored(id)).toMatchObject({ vt: 9000, version: 3, status_ref: 'ada' });
    expect(await events('subscription.paused')).toMatchObject([
      { count: 1, cause: 'provider', subscription_ids: [id] },
    ]);
    expect(await events('subscription.resumed')).toHaveLength(1);
  });

  it('resumes into waiting when the balance does not pay', async () => {
    const { id } = await add();
    await change(id, { status: 'paused_user' });
    expect(await change(id, { status: 'active' })).toMatchObject({ subscription: { status: 'paused_funds' } });
    expect(await events('subscription.resumed')).toHaveLength(0);
  });

  it('that changes nothing is none', async () => {
    const { id } = await add();
    await change(id, { status: 'paused_user' });
    expect(await change(id, { status: 'paused_user', areas: ['US-CA'] })).toMatchObject({
      changed: false,
      subscription: { version: 2 },
    });
  });

  it('replaces areas, rules and cap, and keeps what it does not name', async () => {
    const { id } = await add({ daily_cap: 5 });
    const { subscription } = await change(id, {
      areas: ['*', 'US-NY'],
      filter_rules: [{ field: 'rooms', op: 'lte', value: 2 }],
    });
    expect(subscription).toMatchObject({
      areas: ['*', 'US-NY'],
      daily_cap: 5,
      filter_rules: [{ value: 2 }],
      status: 'paused_funds',
    });
    expect((await change(id, { daily_cap: null, filter_rules: null })).subscription).toMatchObject({
      areas: ['*', 'US-NY'],
      daily_cap: null,
      filter_rules: null,
    });
  });

  it('on another version than the present is refused', async () => {
    const { id } = await add();
    await expect(change(id, { daily_cap: 2, expected_version: 9 })).rejects.toMatchObject({
      code: 'version_changed',
      details: { version: 1 },
    });
    expect(await stored(id)).toMatchObject({ version: 1 });
  });

  it('of another provider finds nothing', async () => {
    const { id } = await add();
    const other = await world.make.provider();
    await expect(change(id, { daily_cap: 2 }, other.id)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('never undoes an administrator, and never revives what was cancelled', async () => {
    const blocked = await world.make.subscription({
      providerId: provider.id,
      levelId: level.id,
      status: 'paused_admin',
    });
    await expect(change(blocked.id, { status: 'active' })).rejects.toMatchObject({ code: 'paused_by_admin' });
    expect(await cancel(blocked.id)).toMatchObject({ changed: true });
    expect(await cancel(blocked.id)).toMatchObject({ changed: false, subscription: { status: 'cancelled' } });
    await expect(change(blocked.id, { status: 'active' })).rejects.toMatchObject({ code: 'invalid_state' });
  });
});

describe('money', () => {
  const resume = () =>
    world.db.transaction((tx) => resumeFunded(tx, { providerIds: [provider.id], cause: 'deposit', ref: 'entry' }));
  const pause = (ref = 'run') => world.db.transaction((tx) => pauseUnfunded(tx, { providerIds: [provider.id], ref }));
  const mails = async (template = 'subscriptions_paused') => {
    const { rows } = await world.db.query<{ variables: object }>(sql`
      select variables from email where template = ${template} and related_id = ${provider.id}`);
    return rows.map(({ variables }) => variables);
  };

  it('resumes exactly what it pays, and nothing a person paused', async () => {
    const dear = await world.make.level({ nicheId: niche.id, priceCents: 6000 });
    const [other, third] = [
      await world.make.level({ nicheId: niche.id }),
      await world.make.level({ nicheId: niche.id }),
    ];
    const make = (levelId: string, status: 'paused_funds' | 'paused_user' | 'paused_admin') =>
      world.make.subscription({ providerId: provider.id, levelId, status });
    const paid = await make(level.id, 'paused_funds');
    const unpaid = await make(dear.id, 'paused_funds');
    const own = await make(other.id, 'paused_user');
    const blocked = await make(third.id, 'paused_admin');
    await setBalance(1500);
    expect(await resume()).toBe(1);
    expect(await stored(paid.id)).toMatchObject({ status: 'active', vt: 7_000, version: 2, status_ref: 'entry' });
    expect(await Promise.all([unpaid, own, blocked].map(async ({ id }) => (await stored(id))?.status))).toEqual([
      'paused_funds',
      'paused_user',
      'paused_admin',
    ]);
    expect(await events('subscription.resumed')).toMatchObject([
      { count: 1, cause: 'deposit', subscription_ids: [paid.id] },
    ]);
    expect(await resume()).toBe(0);
    expect(await events('subscription.resumed')).toHaveLength(1);
    expect(await mails('subscriptions_resumed')).toEqual([{ count: 1 }]);
  });

  it('that does not suffice pauses, and says so in one event and one mail', async () => {
    const dear = await world.make.level({ nicheId: niche.id, priceCents: 6000 });
    const kept = await world.make.subscription({ providerId: provider.id, levelId: level.id });
    const lost = await world.make.subscription({ providerId: provider.id, levelId: dear.id });
    await setBalance(1500);
    expect(await pause()).toBe(1);
    expect([(await stored(kept.id))?.status, (await stored(lost.id))?.status]).toEqual(['active', 'paused_funds']);
    expect(await events('subscription.paused')).toMatchObject([
      { count: 1, cause: 'funds', subscription_ids: [lost.id] },
    ]);
    expect(await mails()).toEqual([{ count: 1 }]);
    expect(await pause()).toBe(0);
    expect(await mails()).toHaveLength(1);
  });

  it('of a provider without an account pays nothing', async () => {
    await world.make.subscription({ providerId: provider.id, levelId: level.id });
    expect(await pause()).toBe(1);
    expect(await resume()).toBe(0);
  });

  it('is announced for what a sale has paused', async () => {
    const { id } = await world.make.subscription({
      providerId: provider.id,
      levelId: level.id,
      status: 'paused_funds',
    });
    await world.db.transaction((tx) => announceUnfunded(tx, { ids: [id], ref: 'run' }));
    expect(await events('subscription.paused')).toMatchObject([{ count: 1, subscription_ids: [id] }]);
    expect(await mails()).toEqual([{ count: 1 }]);
  });

  it('decides a whole level at once when its price asks too much, with one event for all', async () => {
    const rich = await world.make.provider();
    await setBalance(9000, rich.id);
    const kept = await world.make.subscription({ providerId: rich.id, levelId: level.id });
    const poor = await Promise.all(
      [1, 2, 3].map(async () =>
        world.make.subscription({ providerId: (await world.make.provider()).id, levelId: level.id }),
      ),
    );
    const sweep = () =>
      world.db.transaction((tx) => sweepLevel(tx, { levelId: level.id, priceCents: 1500, ref: 'run' }));
    expect([await sweep(), await sweep()]).toEqual([3, 0]);
    expect((await stored(kept.id))?.status).toBe('active');
    expect(await Promise.all(poor.map(async ({ id }) => (await stored(id))?.status))).toEqual(
      Array(3).fill('paused_funds'),
    );
    const { rows } = await world.db.query(sql`select from ops.event_outbox where payload ->> 'level_id' = ${level.id}`);
    expect(rows).toHaveLength(1);
  });
});
