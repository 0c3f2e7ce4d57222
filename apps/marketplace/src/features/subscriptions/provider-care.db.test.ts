import { type Actor, sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { makeAssignments } from '../../testing/inbox.ts';
import { planOf } from '../../testing/plan.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { openPasswords } from '../auth/index.ts';
import { reinstateProvider, type SubscriptionRouteDeps, subscriptionRoutes, suspendProvider } from './index.ts';
import { previewMatches, previewStatement } from './preview.ts';
import { recordStatement } from './provider-record.ts';
import { reinstateByStaff, suspendByStaff } from './provider-status.ts';

let world: TestWorld;
let app: FastifyInstance;
const admin = signedInAs('00000000-0000-4000-8000-000000000001', 'admin');
const memo = 'Their licence has run out';
const ended: string[] = [];
let deps: SubscriptionRouteDeps;
let provider: Awaited<ReturnType<TestWorld['make']['provider']>>;
let niche: { id: string };

beforeAll(async () => {
  world = await openTestWorld();
  deps = {
    db: world.db,
    log: world.log,
    now: world.now,
    passwords: openPasswords({ memoryKib: 64, passes: 1 }),
    requeueApproved: async () => 0,
    setLowBalance: async () => undefined,
    endAccess: async (_tx, userId) => ({ sessions: ended.push(userId), tokens: 0 }),
  };
  app = await openTestServer(world.log, { routes: (server) => subscriptionRoutes(server, deps) });
});
afterAll(async () => {
  await app?.close();
  await world?.close();
});
beforeEach(async () => {
  provider = await world.make.provider();
  niche = await world.make.niche();
});

async function act(verb: string, { id = provider.id, payload = { memo } }: { id?: string; payload?: object } = {}) {
  const answer = await app.inject({ method: 'POST', url: `/admin/providers/${id}/${verb}`, headers: admin, payload });
  return { status: answer.statusCode, body: answer.json() };
}
const get = async (url: string, headers: object = admin) => {
  const answer = await app.inject({ method: 'GET', url, headers: { ...headers } });
  return { status: answer.statusCode, body: answer.json() };
};
const level = (priceCents: number) =>
  world.make.level({ nicheId: niche.id, priceCents, maxRecipients: 20, vclock: 5_000 });

async function standing() {
  const { rows } = await world.db.query(sql`
    select p.status, p.status_memo,
           array(select s.status || ' ' || l.price_cents || ' ' || s.vt from subscription s join level l on l.id = s.level_id
                 where s.provider_id = p.id order by l.price_cents) as subscriptions,
           array(select type || coalesce(' ' || (payload ->> 'count'), '') from ops.event_outbox e
                 where p.id::text in (e.aggregate_id, e.payload ->> 'provider_id') and e.stream <> 'billing' order by id) as told,
           array(select action || ' ' || coalesce(reason, '') from ops.audit_log a where a.target_id = p.id::text order by seq) as audited,
           array(select template from email m where m.to_address = ${provider.email} order by created_at) as mails
    from provider p where id = ${provider.id}`);
  return rows[0];
}

describe('a provider', () => {
  it('is stopped with all that buys, and comes back as far as its balance pays; its own pauses stay, and those of the staff', async () => {
    await world.make.credit({ providerId: provider.id, amountCents: 1_000 });
    for (const [priceCents, status] of [
      [500, 'active'],
      [600, 'paused_user'],
      [700, 'paused_funds'],
      [800, 'paused_admin'],
      [9_000, 'paused_funds'],
    ] as const)
      await world.make.subscription({ providerId: provider.id, levelId: (await level(priceCents)).id, status, vt: 7 });
    expect(await act('suspend')).toEqual({ status: 200, body: { status: 'suspended', changed: true } });
    expect(await act('suspend')).toEqual({ status: 200, body: { status: 'suspended', changed: false } });
    expect(await standing()).toMatchObject({
      status: 'suspended',
      status_memo: memo,
      subscriptions: [
        'paused_admin 500 7',
        'paused_user 600 7',
        'paused_admin 700 7',
        'paused_admin 800 7',
        'paused_admin 9000 7',
      ],
      told: ['provider.suspended', 'subscription.paused 1'],
      audited: [`provider.suspended ${memo}`],
      mails: ['provider_suspended'],
    });
    expect(ended).toContain(provider.userId);
    expect((await act('reinstate')).body).toEqual({ status: 'active', changed: true });
    expect(await standing()).toMatchObject({
      status: 'active',
      status_memo: null,
      subscriptions: [
        'active 500 5000',
        'paused_user 600 7',
        'active 700 5000',
        'paused_admin 800 7',
        'paused_funds 9000 7',
      ],
      told: ['provider.suspended', 'subscription.paused 1', 'provider.reinstated', 'subscription.resumed 2'],
      mails: ['provider_suspended', 'subscriptions_resumed'],
    });
  });

  it('is closed for good once it is suspended: nothing buys any more, and the money stays', async () => {
    await world.make.credit({ providerId: provider.id, amountCents: 1_000 });
    await world.make.subscription({ providerId: provider.id, levelId: (await level(500)).id });
    expect(await act('close')).toMatchObject({
      status: 409,
      body: { code: 'invalid_state', details: { status: 'active' } },
    });
    await act('suspend');
    expect((await act('close')).body).toEqual({ status: 'closed', changed: true });
    expect((await act('close')).body).toEqual({ status: 'closed', changed: false });
    for (const verb of ['suspend', 'reinstate']) expect((await act(verb)).body.code).toBe('invalid_state');
    expect(await standing()).toMatchObject({
      status: 'closed',
      subscriptions: ['cancelled 500 0'],
      told: ['provider.suspended', 'subscription.paused 1', 'provider.closed'],
      mails: ['provider_suspended', 'provider_suspended'],
    });
    const { rows } = await world.db.query(sql`select balance_cents from account where provider_id = ${provider.id}`);
    expect(rows).toEqual([{ balance_cents: 1_000 }]);
  });

  it('that stopped with its user stays stopped when the staff say so too', async () => {
    await world.db.transaction((tx) => suspendProvider(tx, provider.userId));
    expect((await act('suspend')).body).toEqual({ status: 'suspended', changed: true });
    expect(await world.db.transaction((tx) => reinstateProvider(tx, provider.userId))).toBe(false);
    expect(await standing()).toMatchObject({
      status: 'suspended',
      status_memo: memo,
      told: ['provider.suspended'],
      audited: [`provider.suspended ${memo}`],
    });
  });

  it('comes back without what the staff paused meanwhile', async () => {
    await world.make.credit({ providerId: provider.id, amountCents: 1_000 });
    const { id } = await world.make.subscription({ providerId: provider.id, levelId: (await level(500)).id, vt: 7 });
    await act('suspend');
    const pause = () =>
      app.inject({ method: 'POST', url: `/admin/subscriptions/${id}/pause`, headers: admin, payload: { memo } });
    expect([(await pause()).json(), (await pause()).json()]).toMatchObject([{ changed: true }, { changed: false }]);
    await act('reinstate');
    expect(await standing()).toMatchObject({ status: 'active', subscriptions: ['paused_admin 500 7'] });
  });

  it('does not come back before its user does', async () => {
    await act('suspend');
    await world.db.query(sql`update identity.users set status = 'disabled' where id = ${provider.userId}`);
    expect(await act('reinstate')).toMatchObject({ status: 409, body: { details: { user: 'disabled' } } });
    expect(await standing()).toMatchObject({ status: 'suspended' });
  });

  it('that nobody knows, or a memo that says nothing, is refused', async () => {
    expect((await act('suspend', { id: '00000000-0000-4000-8000-000000000000' })).status).toBe(404);
    expect((await act('suspend', { payload: { memo: 'bad' } })).status).toBe(400);
    expect(await standing()).toMatchObject({ status: 'active', told: [] });
  });

  it('is suspended after a sale that holds its account, not in the midst of it', async () => {
    await world.make.credit({ providerId: provider.id, amountCents: 1_000 });
    const actor: Actor = { id: 'ada', name: 'Ada', via: 'http' };
    const given = { providerId: provider.id, actor, memo, now: new Date() };
    let suspended = false;
    let suspending: Promise<unknown> = Promise.resolve();
    await world.db.transaction(async (sale) => {
      await sale.query(sql`select from v_account where provider_id = ${provider.id} for no key update`);
      suspending = world.db.transaction((tx) => suspendByStaff(tx, given, deps)).then(() => (suspended = true));
      await waitsForLock();
      expect(suspended).toBe(false);
      const { rows } = await sale.query(sql`select status from v_provider where id = ${provider.id}`);
      expect(rows).toEqual([{ status: 'active' }]);
    });
    await suspending;
    expect(await standing()).toMatchObject({ status: 'suspended' });
    await world.db.transaction((tx) => reinstateByStaff(tx, given, deps));
  });
});

async function waitsForLock(): Promise<void> {
  const deadline = Date.now() + 5_000;
  for (;;) {
    const { rows } = await world.db.query<{ waiting: number }>(
      sql`select count(*)::int as waiting from pg_locks where not granted and locktype = 'transactionid'`,
    );
    if ((rows[0]?.waiting ?? 0) > 0) return;
    if (Date.now() > deadline) throw new Error('nobody waits');
  }
}

describe('the card of a provider', () => {
  it('shows 30 days of what it bought, made of it and reported, beside others who bought the same', async () => {
    const offer = await level(100);
    const peer = await world.make.provider();
    for (const { id } of [provider, peer]) {
      await world.make.credit({ providerId: id });
      await world.make.subscription({ providerId: id, levelId: offer.id });
    }
    const sold = [];
    for (let at = 0; at < 4; at += 1) {
      const lead = await world.make.lead({ nicheId: niche.id });
      sold.push(await makeAssignments(world.db, lead.id, world));
    }
    const own = sold.map((each) => each.get(provider.id));
    const theirs = sold.map((each) => each.get(peer.id));
    await world.db.query(sql`
      insert into inbox_mark (assignment_id, viewed_at, decision, decided_at)
      values (${own[0]}, now(), 'accepted', now()), (${own[1]}, now(), null, null), (${own[2]}, now(), 'declined', now())`);
    await world.db.query(sql`
      insert into bad_lead_report (assignment_id, provider_id, reason, status, via, reported_at, resolved_by, resolved_at, memo)
      values (${own[0]}, ${provider.id}, 'spam', 'approved', 'report', now(), 'ada', now(), 'It was spam indeed'),
             (${own[1]}, ${provider.id}, 'spam', 'rejected', 'report', now(), 'ada', now(), 'It was not spam at all'),
             (${own[2]}, ${provider.id}, 'spam', 'pending', 'report', now(), null, null, null),
             (${theirs[0]}, ${peer.id}, 'spam', 'pending', 'report', now(), null, null, null)`);
    const { body } = await get(`/admin/providers/${provider.id}`);
    expect(body).toMatchObject({ id: provider.id, email_verified: true, status_memo: null, subscriptions: [{}] });
    expect(body.last_30_days).toEqual({
      days: 30,
      serves: 4,
      spent_cents: 400,
      viewed: 3,
      accepted: 1,
      declined: 1,
      refunded: 0,
      reported: 3,
      reports_pending: 1,
      reports_approved: 1,
      report_rate: 0.75,
      approval_rate: 0.5,
      peers: { serves: 4, reported: 1, report_rate: 0.25, shared_reports: 3, agreed: 1 },
    });
    const { body: bare } = await get(`/admin/providers/${(await world.make.provider()).id}`);
    expect(bare.last_30_days).toMatchObject({
      serves: 0,
      spent_cents: 0,
      report_rate: null,
      peers: { report_rate: null },
    });
  });

  it('is read by index', async () => {
    await world.db.transaction(async (tx) => {
      await tx.query(sql`set local enable_seqscan = off`);
      const nodes = await planOf(tx, recordStatement(provider.id));
      expect(nodes.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([]);
    });
  });
});

describe('the preview of a subscription', () => {
  const own = () => signedInAs(provider.userId, 'provider');
  const rules = [
    { field: 'rooms', op: 'gte', value: 3 },
    { field: 'kind', op: 'eq', value: 'home' },
  ];
  const lead = (rooms: number, kind: string, more: object = {}) =>
    world.make.lead({ nicheId: niche.id, form: { rooms, kind }, ...more });

  it('counts the approved leads of 30 days that would have matched, by week, and what each rule refused', async () => {
    const { id: levelId } = await level(100);
    const { id } = await world.make.subscription({
      providerId: provider.id,
      levelId,
      areas: ['US-CA'],
      filterRules: rules,
    });
    const outside = { areaCodes: ['*', 'US', 'US-NY', 'US-100'] };
    const old = (days: number) => ({ approvedAt: new Date(Date.now() - days * 86_400_000) });
    await lead(4, 'home');
    await lead(4, 'home', old(15));
    await lead(1, 'home');
    await lead(1, 'farm');
    await lead(4, 'home', outside);
    await lead(1, 'home', outside);
    await lead(4, 'home', old(31));
    await lead(4, 'home', { isTest: true });
    await lead(4, 'home', { status: 'pending_approval' });
    const { status, body } = await get(`/provider/subscriptions/${id}/preview`, own());
    expect([status, body]).toMatchObject([200, { days: 30, leads: 6, matched: 2, truncated: false }]);
    expect(body.weeks.map(({ leads, matched }: Record<string, number>) => [leads, matched])).toEqual([
      [1, 1],
      [5, 1],
    ]);
    expect(body.excluded_by).toMatchObject([
      { rule: 'areas', leads: 2, alone: 1 },
      { rule: 'filter', index: 0, field: 'rooms', op: 'gte', leads: 2, alone: 1 },
      { rule: 'filter', index: 1, field: 'kind', op: 'eq', leads: 1, alone: 0 },
    ]);
  });

  it('takes every lead where there is no filter, and says zero where there are none', async () => {
    const { id: levelId } = await level(100);
    const { id } = await world.make.subscription({ providerId: provider.id, levelId });
    const preview = async () => (await get(`/provider/subscriptions/${id}/preview`, own())).body;
    expect(await preview()).toMatchObject({
      leads: 0,
      matched: 0,
      weeks: [],
      excluded_by: [{ rule: 'areas', leads: 0 }],
    });
    await lead(1, 'farm', { areaCodes: ['*'] });
    expect(await preview()).toMatchObject({ leads: 1, matched: 1 });
  });

  it('that takes too long answers that it is not complete', async () => {
    const { id } = await world.make.subscription({ providerId: provider.id, levelId: (await level(100)).id });
    await world.db.transaction(async (tx) => {
      await tx.query(sql`lock table lead in access exclusive mode`);
      const terms = { id, filter_rules: null };
      const seen = await previewMatches(world.db, terms, { withinMs: 50 });
      expect(seen).toMatchObject({ complete: false, leads: 0, matched: 0, excluded_by: [] });
    });
    expect((await get(`/provider/subscriptions/${id}/preview`, own())).body).toMatchObject({ complete: true });
  });

  it('is for its owner', async () => {
    const other = await world.make.provider();
    const { id } = await world.make.subscription({ providerId: other.id, levelId: (await level(100)).id });
    expect((await get(`/provider/subscriptions/${id}/preview`, own())).status).toBe(404);
  });

  it('reads the leads of its niche by index', async () => {
    const { id } = await world.make.subscription({ providerId: provider.id, levelId: (await level(100)).id });
    await world.db.transaction(async (tx) => {
      await tx.query(sql`set local enable_seqscan = off`);
      const nodes = await planOf(tx, previewStatement(id));
      expect(nodes.map((node) => node['Index Name'])).toContain('lead_approvals');
      expect(nodes.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([]);
    });
  });
});
