import { type Database, sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCredit } from '../../testing/billing.ts';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { makeAssignments } from '../../testing/inbox.ts';
import { makeLead } from '../../testing/leads.ts';
import { nth, present } from '../../testing/nth.ts';
import { planOf } from '../../testing/plan.ts';
import { makeLevel, makeNiche, makeProvider, makeSubscription } from '../../testing/subscriptions.ts';
import { openTestWorld } from '../../testing/world.ts';
import { listStatement } from './queries.ts';
import { inboxRoutes } from './routes.ts';

let world: Awaited<ReturnType<typeof openTestWorld>>;
let db: Database;
let app: FastifyInstance;

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
  app = await openTestServer(world.log, { routes: (server) => inboxRoutes(server, world) });
});
afterAll(async () => {
  await app.close();
  await world.close();
});

type Provider = Awaited<ReturnType<typeof makeProvider>>;

/** A niche with `count` funded providers who all buy every lead. */
async function market(count: number) {
  const niche = await makeNiche(db);
  const level = await makeLevel(db, { nicheId: niche.id, maxRecipients: 20, priceCents: 100 });
  const providers: Provider[] = [];
  for (let at = 0; at < count; at += 1) {
    const provider = await makeProvider(db);
    await makeCredit(db, { providerId: provider.id }, world);
    await makeSubscription(db, { providerId: provider.id, levelId: level.id });
    providers.push(provider);
  }
  const sell = async (lead: Partial<Parameters<typeof makeLead>[1]> = {}) => {
    const { id, email } = await makeLead(db, { nicheId: niche.id, ...lead });
    return { leadId: id, email, assignments: await makeAssignments(db, id, world) };
  };
  return { niche, level, providers, sell };
}

async function ask(provider: Provider, url: string, method: 'GET' | 'POST' = 'GET', payload?: object) {
  const answer = await app.inject({
    method,
    url: `/provider/inbox${url}`,
    headers: signedInAs(provider.userId, 'provider'),
    ...(payload && { payload }),
  });
  return { status: answer.statusCode, body: answer.json() };
}

const idsOf = (body: { items: { assignment_id: string }[] }) => body.items.map((item) => item.assignment_id);

describe('the inbox', () => {
  it('shows each buyer their own assignments and nothing of the others', async () => {
    const { providers, sell } = await market(3);
    const sold = [await sell(), await sell()];
    for (const provider of providers) {
      const { body } = await ask(provider, '');
      expect(idsOf(body)).toEqual(sold.toReversed().map(({ assignments }) => assignments.get(provider.id)));
      const text = JSON.stringify(body);
      for (const other of providers.filter((each) => each !== provider)) {
        expect(text).not.toContain(other.id);
        for (const { assignments } of sold) expect(text).not.toContain(assignments.get(other.id));
      }
      expect(Object.keys(body.items[0])).not.toEqual(expect.arrayContaining(['slot']));
      expect(text).not.toMatch(/slot|assigned_count|recipient|max_/);
    }
    expect(world.metrics.counts.inboxQueryDurationMs).toBeGreaterThan(0);
  });

  it('answers not found for what another provider bought, and changes nothing of it', async () => {
    const { providers, sell } = await market(1);
    const stranger = await makeProvider(db);
    const { assignments } = await sell();
    const id = present(assignments.get(nth(providers, 0).id));
    for (const end of [
      await ask(stranger, `/${id}`),
      await ask(stranger, `/${id}/accept`, 'POST'),
      await ask(stranger, `/${id}/decline`, 'POST'),
    ]) {
      expect([end.status, end.body.code]).toEqual([404, 'not_found']);
    }
    expect((await ask(nth(providers, 0), '')).body.items[0]).toMatchObject({ status: 'new', viewed_at: null });
  });

  it('goes on page by page without a gap or a repeat', async () => {
    const { providers, sell } = await market(1);
    for (let at = 0; at < 5; at += 1) await sell();
    const seen: string[] = [];
    let cursor = '';
    do {
      const { body } = await ask(nth(providers, 0), `?limit=2${cursor}`);
      seen.push(...idsOf(body));
      cursor = body.pagination.next_cursor ? `&cursor=${body.pagination.next_cursor}` : '';
    } while (cursor);
    expect(seen).toEqual(idsOf((await ask(nth(providers, 0), '')).body));
    expect(new Set(seen).size).toBe(5);
  });

  it('filters by status, niche, level, time and text', async () => {
    const { providers, sell, niche, level } = await market(1);
    const provider = nth(providers, 0);
    const first = await sell({ email: 'needle@example.com', phone: '+12025550123' });
    const second = await sell();
    const idOf = (sold: typeof first) => present(sold.assignments.get(provider.id));
    await ask(provider, `/${idOf(first)}`);
    const found = async (query: string) => idsOf((await ask(provider, `?${query}`)).body);
    const { rows } = await db.query<{ at: Date }>(
      sql`select assigned_at as at from v_assignment where id = ${idOf(second)}`,
    );
    const at = encodeURIComponent(nth(rows, 0).at.toISOString());
    expect(await found('status=viewed')).toEqual([idOf(first)]);
    expect(await found('status=new')).toEqual([idOf(second)]);
    expect(await found('status=accepted')).toEqual([]);
    expect(await found('q=NEEDLE')).toEqual([idOf(first)]);
    expect(await found('q=5550123')).toEqual([idOf(first)]);
    expect(await found('q=%25')).toEqual([]);
    expect(await found(`niche=${niche.slug}&level=${level.id}`)).toHaveLength(2);
    expect(await found('niche=other')).toEqual([]);
    expect(await found(`from=${at}`)).toEqual([idOf(second)]);
    expect(await found(`to=${at}`)).toEqual([idOf(first)]);
  });

  it('reads a page along the index of its buyer, whatever is filtered', async () => {
    const after = ['2026-01-01 00:00:00+00', '00000000-0000-4000-8000-000000000000'] as const;
    const filters = [{}, { after }, { status: 'new' as const }, { niche: 'roofing' }, { q: 'Jane' }];
    await db.transaction(async (tx) => {
      await tx.query(sql`set local enable_seqscan = off`);
      for (const filter of filters) {
        const { id } = await makeProvider(tx);
        const nodes = await planOf(tx, listStatement(id, { limit: 51, after: undefined, ...filter }));
        expect(nodes.map((node) => node['Index Name'])).toContain('assignment_inbox');
        expect(nodes.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([]);
      }
    });
  });

  it.each([
    '?limit=0',
    '?limit=201',
    '?status=sold',
    '?from=yesterday',
    '?cursor=abc',
    '?level=1',
    '?unknown=1',
    '?q=%00',
  ])('refuses %s', async (query) => {
    const { status, body } = await ask(await makeProvider(db), query);
    expect([status, body.code]).toEqual([400, 'validation_failed']);
  });
});

describe('one lead of the inbox', () => {
  it('shows the person and what they asked for, and is viewed from the first look on', async () => {
    const { providers, sell } = await market(1);
    const { assignments, email } = await sell({ form: { rooms: 4 } });
    const url = `/${assignments.get(nth(providers, 0).id)}`;
    const first = await ask(nth(providers, 0), url);
    expect(first.body).toMatchObject({
      status: 'viewed',
      name: 'Test Person',
      email,
      form: { rooms: 4 },
      price_cents: 100,
    });
    const second = await ask(nth(providers, 0), url);
    expect(second.body.viewed_at).toBe(first.body.viewed_at);
  });

  it('is accepted or declined once, and no money moves', async () => {
    const { providers, sell } = await market(2);
    const { assignments } = await sell();
    const [one, other] = providers as [Provider, Provider];
    const accept = `/${assignments.get(one.id)}/accept`;
    const decline = `/${assignments.get(other.id)}/decline`;
    expect((await ask(one, accept, 'POST')).body).toMatchObject({ decision: 'accepted', changed: true });
    expect((await ask(one, accept, 'POST')).body).toMatchObject({ decision: 'accepted', changed: false });
    expect((await ask(one, accept.replace('accept', 'decline'), 'POST')).body.code).toBe('already_decided');
    expect((await ask(other, decline, 'POST', { reason: 'too far away' })).body).toMatchObject({
      decision: 'declined',
      changed: true,
    });
    expect((await ask(other, `/${assignments.get(other.id)}`)).body).toMatchObject({
      status: 'declined',
      decline_reason: 'too far away',
    });
    const { rows } = await db.query(
      sql`select count(*)::int as entries from v_ledger_entry where provider_id = any(${[one.id, other.id]}::uuid[])`,
    );
    expect(rows).toEqual([{ entries: 4 }]);
    const { rows: events } = await db.query(sql`
      select payload from ops.event_outbox where type = 'assignment.decided' and aggregate_id = ${present(assignments.get(one.id))}`);
    expect(events).toEqual([{ payload: { assignment_id: assignments.get(one.id), decision: 'accepted' } }]);
  });

  it('takes one of many opposite decisions made at once', async () => {
    const { providers, sell } = await market(1);
    const { assignments } = await sell();
    const url = `/${assignments.get(nth(providers, 0).id)}`;
    const ends = await Promise.all(
      ['accept', 'decline', 'accept', 'decline', 'accept', 'decline'].map((end) =>
        ask(nth(providers, 0), `${url}/${end}`, 'POST'),
      ),
    );
    expect(ends.filter((end) => end.body.changed)).toHaveLength(1);
    expect(ends.filter((end) => end.status === 409)).toHaveLength(3);
  });
});
