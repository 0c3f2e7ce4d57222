import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import type { LeadOverrides } from '../../testing/leads.ts';
import { planOf } from '../../testing/plan.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { adminLeadRoutes } from './index.ts';
import { pageQuery } from './reading.ts';

let world: TestWorld;
let app: FastifyInstance;
let niche: { id: string; slug: string };

beforeAll(async () => {
  world = await openTestWorld();
  const readSales = async () => ({ runs: [], assignments: [], truncated: false });
  app = await openTestServer(world.log, { routes: (routes) => adminLeadRoutes(routes, { ...world, readSales }) });
  niche = await world.make.niche({ slug: 'roofing' });
});
afterAll(async () => {
  await app.close();
  await world.close();
});

const staff = signedInAs(randomUUID(), 'admin');
const act = (id: string, action: string, payload: object = {}) =>
  app.inject({ method: 'POST', url: `/admin/leads/${id}/${action}`, headers: staff, payload });
const get = (url: string) => app.inject({ method: 'GET', url, headers: staff });
const make = (overrides: Partial<LeadOverrides> = {}) =>
  world.make.lead({ nicheId: niche.id, status: 'pending_approval', ...overrides });
const reason = 'The phone number is not theirs';
const memo = 'Sell it again, please';

async function traceOf(id: string) {
  const { rows } = await world.db.query(sql`
    select status, version, sale_no, sale_trigger,
           (select array_agg(type order by id) from ops.event_outbox where aggregate_id = lead.id::text) as events,
           (select array_agg(action order by seq) from ops.audit_log where target_id = lead.id::text) as audited,
           (select array_agg(run_key::text order by enqueued_at) from ops.job_run where run_key like 'distribute-' || lead.id || '-%') as jobs
    from lead where id = ${id}`);
  return rows[0];
}

describe('an approval', () => {
  it('starts the sale: state, event, audit and job in one commit, under the correlation of the submission', async () => {
    const { id, correlationId } = await make();
    const counted = world.metrics.counts.leadsApproved ?? 0;
    const answer = await act(id, 'approve');
    const job_id = `distribute-${id}-1`;
    expect([answer.statusCode, answer.json()]).toEqual([200, { status: 'approved', changed: true, job_id }]);
    expect(answer.headers['x-correlation-id']).toBe(correlationId);
    expect(await traceOf(id)).toEqual({
      status: 'approved',
      version: 2,
      sale_no: 1,
      sale_trigger: 'approved',
      events: ['lead.approved'],
      audited: ['lead.approved'],
      jobs: [job_id],
    });
    expect(world.metrics.counts.leadsApproved).toBe(counted + 1);
    const { rows } = await world.db.query(sql`
      select (select correlation_id from ops.job_run where run_key = ${job_id}) as job,
             (select correlation_id from ops.event_outbox where aggregate_id = ${id}) as event,
             (select correlation_id from ops.audit_log where target_id = ${id}) as audit,
             (select envelope::jsonb -> 'body' from ops.job_outbox where run_key = ${job_id}) as payload`);
    const payload = { v: 1, lead_id: id, sale_no: 1 };
    expect(rows).toEqual([{ job: correlationId, event: correlationId, audit: correlationId, payload }]);
    const lines = world.lines.map((line) => JSON.parse(line)).filter((line) => line.correlation_id === correlationId);
    expect(new Set(lines.map((line) => line.event))).toEqual(new Set(['http_request', 'lead_approved']));
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line.metadata.request_id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('asked for twice, or by twenty at once, happens once', async () => {
    const { id } = await make();
    const answers = await Promise.all(Array.from({ length: 20 }, () => act(id, 'approve')));
    expect(answers.filter((answer) => answer.json<{ changed: boolean }>().changed)).toHaveLength(1);
    expect(new Set(answers.map((answer) => answer.statusCode))).toEqual(new Set([200]));
    expect(await traceOf(id)).toMatchObject({ version: 2, events: ['lead.approved'], audited: ['lead.approved'] });
  });

  it('of a test lead starts no sale and is not counted', async () => {
    const { id } = await make({ isTest: true });
    const counted = world.metrics.counts.leadsApproved ?? 0;
    expect((await act(id, 'approve')).json()).toEqual({ status: 'approved', changed: true, job_id: null });
    expect(await traceOf(id)).toMatchObject({ status: 'approved', jobs: null });
    expect(world.metrics.counts.leadsApproved ?? 0).toBe(counted);
    expect((await act(id, 'distribute', { memo })).statusCode).toBe(409);
  });
});

describe('what can be decided in which state', () => {
  const states = ['pending_confirmation', 'pending_approval', 'approved', 'unsold', 'rejected', 'expired'] as const;
  const expected: Record<(typeof states)[number], [approve: string, reject: string, distribute: string]> = {
    pending_confirmation: ['409', '200 changed', '409'],
    pending_approval: ['200 changed', '200 changed', '409'],
    approved: ['200 unchanged', '200 changed', '200 changed'],
    unsold: ['200 unchanged', '200 changed', '200 changed'],
    rejected: ['409', '200 unchanged', '409'],
    expired: ['409', '409', '409'],
  };

  it.each(states)('%s', async (status) => {
    const verdicts = [];
    for (const [action, body] of [
      ['approve', {}],
      ['reject', { reason }],
      ['distribute', { memo }],
    ] as const) {
      const { id } = await make({ status });
      const before = await traceOf(id);
      const answer = await act(id, action, body);
      const { changed, code, details } = answer.json<{
        changed?: boolean;
        code?: string;
        details?: { status: string };
      }>();
      verdicts.push(answer.statusCode === 200 ? `200 ${changed ? 'changed' : 'unchanged'}` : String(answer.statusCode));
      if (answer.statusCode === 409) expect([code, details?.status]).toEqual(['invalid_state', status]);
      if (!changed) expect(await traceOf(id)).toEqual(before);
    }
    expect(verdicts).toEqual(expected[status]);
  });

  it('a sold lead can be approved again without effect, and neither rejected nor distributed', async () => {
    const { id } = await make({ status: 'approved' });
    await world.db.query(
      sql`update lead set status = 'distributed', assigned_count = 1, recipient_cap = 3 where id = ${id}`,
    );
    expect((await act(id, 'approve')).json()).toMatchObject({ status: 'distributed', changed: false });
    expect((await act(id, 'reject', { reason })).json()).toMatchObject({
      code: 'invalid_state',
      details: { status: 'distributed' },
    });
    expect((await act(id, 'distribute', { memo })).statusCode).toBe(409);
  });

  it('nothing of a lead that does not exist', async () => {
    for (const [action, body] of [
      ['approve', {}],
      ['reject', { reason }],
      ['distribute', { memo }],
    ] as const) {
      expect((await act(randomUUID(), action, body)).statusCode).toBe(404);
      expect((await act('not-an-id', action, body)).json()).toMatchObject({
        details: { faults: [{ at: 'params.id', message: 'must be a UUID' }] },
      });
    }
    expect((await get(`/admin/leads/${randomUUID()}`)).statusCode).toBe(404);
  });

  it('nothing by those who may not', async () => {
    const { id } = await make();
    const ask = (headers: Record<string, string>) =>
      app.inject({ method: 'POST', url: `/admin/leads/${id}/approve`, headers });
    const answers = [await ask({}), await ask(signedInAs(randomUUID(), 'provider'))];
    expect(answers.map((answer) => answer.statusCode)).toEqual([401, 403]);
    expect(await traceOf(id)).toMatchObject({ status: 'pending_approval', events: null, audited: null });
  });
});

describe('a rejection', () => {
  it('is recorded with its reason, told without personal data, and final', async () => {
    const { id } = await make();
    expect((await act(id, 'reject', { reason: 'Wrote from jane@example.com twice' })).json()).toEqual({
      status: 'rejected',
      changed: true,
    });
    expect(await traceOf(id)).toMatchObject({
      version: 2,
      events: ['lead.rejected'],
      audited: ['lead.rejected'],
      jobs: null,
    });
    const { rows } = await world.db.query<{ payload: { reason: string } }>(
      sql`select payload from ops.event_outbox where aggregate_id = ${id}`,
    );
    expect(rows[0]?.payload.reason).not.toContain('jane@');
    expect((await get(`/admin/leads/${id}`)).json()).toMatchObject({
      reject_reason: 'Wrote from jane@example.com twice',
    });
  });

  it('needs a reason', async () => {
    const { id } = await make();
    for (const body of [{}, { reason: 'no' }, { reason: 'x'.repeat(501) }, { reason, extra: 1 }]) {
      expect((await act(id, 'reject', body)).statusCode).toBe(400);
    }
  });
});

describe('a sale started by hand', () => {
  it('is a new one: the number rises, so that no kept job can swallow it', async () => {
    const { id } = await make();
    await act(id, 'approve');
    await world.db.query(
      sql`update ops.job_run set state = 'done', finished_at = now() where run_key = ${`distribute-${id}-1`}`,
    );
    const answer = await act(id, 'distribute', { memo });
    expect(answer.json()).toEqual({ status: 'approved', changed: true, job_id: `distribute-${id}-2` });
    expect(await traceOf(id)).toMatchObject({
      sale_no: 2,
      sale_trigger: 'admin',
      version: 2,
      jobs: [`distribute-${id}-1`, `distribute-${id}-2`],
      audited: ['lead.approved', 'lead.distribution_asked'],
    });
  });

  it('is refused while the last one runs', async () => {
    const { id } = await make();
    await act(id, 'approve');
    const answer = await act(id, 'distribute', { memo });
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([409, 'in_progress']);
    expect(await traceOf(id)).toMatchObject({ sale_no: 1 });
  });

  it('takes the place of a try planned for later', async () => {
    const { id } = await make({ status: 'unsold', saleNo: 2, nextTryAt: new Date(Date.now() + 3_600_000) });
    await world.db.query(sql`
      insert into ops.job_run (run_key, root_key, queue, kind, max_attempts, correlation_id)
      values (${`distribute-${id}-2`}, ${`distribute-${id}-2`}, 'distribute_lead', 'distribute_lead', 5, 'test')`);
    expect((await act(id, 'distribute', { memo })).json()).toMatchObject({
      status: 'unsold',
      job_id: `distribute-${id}-3`,
    });
  });

  it('asked for twice under one Idempotency-Key happens once', async () => {
    const { id } = await make({ status: 'approved' });
    const ask = () =>
      app.inject({
        method: 'POST',
        url: `/admin/leads/${id}/distribute`,
        headers: { ...staff, 'idempotency-key': `key-${id}` },
        payload: { memo },
      });
    const [first, second] = [await ask(), await ask()];
    expect(second.body).toBe(first.body);
    expect(await traceOf(id)).toMatchObject({ sale_no: 2 });
  });
});

describe('the queue of leads', () => {
  it('shows those that wait oldest first, page by page, each once, with masked addresses', async () => {
    const own = await world.make.niche({ slug: 'queue-niche' });
    const base = Date.parse('2026-01-01T00:00:00Z');
    const ids: string[] = [];
    for (let at = 0; at < 5; at += 1) {
      // Two of one moment: the id decides between them.
      ids.push((await make({ nicheId: own.id, createdAt: new Date(base + Math.floor(at / 2) * 1000) })).id);
    }
    const seen: { id: string; email_masked: string; age_seconds: number }[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page = await get(
        `/admin/leads?status=pending_approval&niche=queue-niche&limit=2${cursor && `&cursor=${cursor}`}`,
      );
      const { items, pagination } = page.json<{ items: typeof seen; pagination: { next_cursor: string | null } }>();
      seen.push(...items);
      cursor = pagination.next_cursor;
    }
    expect(seen.map((item) => item.id).sort()).toEqual([...ids].sort());
    expect(new Set(seen.slice(0, 2).map((item) => item.id))).toEqual(new Set(ids.slice(0, 2)));
    expect(seen[0]?.email_masked).toBe('p…@example.com');
    expect(seen[0]?.age_seconds).toBeGreaterThan(0);
    expect(JSON.stringify(seen)).not.toContain('person-');
  });

  it('is filtered by state, niche, source, flag and age', async () => {
    const own = await world.make.niche({ slug: 'filter-niche' });
    const old = await make({
      nicheId: own.id,
      source: 'ads',
      riskFlags: ['duplicate'],
      createdAt: new Date(Date.now() - 7_200_000),
    });
    const young = await make({ nicheId: own.id, source: 'mail', status: 'approved' });
    const idsOf = async (query: string) =>
      (await get(`/admin/leads?niche=filter-niche${query}`))
        .json<{ items: { id: string }[] }>()
        .items.map((item) => item.id);
    expect(await idsOf('')).toEqual([young.id, old.id]);
    expect(await idsOf('&status=approved')).toEqual([young.id]);
    expect(await idsOf('&source=ads')).toEqual([old.id]);
    expect(await idsOf('&flag=duplicate')).toEqual([old.id]);
    expect(await idsOf('&age=3600')).toEqual([old.id]);
    expect(await idsOf('&age=9000')).toEqual([]);
  });

  it.each([
    [{}, 'lead_list_all'],
    [{ status: 'pending_approval' }, 'lead_list'],
    [{ source: 'rare' }, 'lead_list_source'],
    [{ flag: 'disposable' }, 'lead_list_flagged'],
    [{ niche: 'orphan' }, 'lead_list_niche'],
  ] as const)('follows an index, without sorting or reading all leads: %j', async (filter, index) => {
    const nodes = await world.db.transaction(async (tx) => {
      // Rolled back with the many leads that make the choice of a plan worth while.
      await tx.query(sql`savepoint before`);
      await tx.query(sql`insert into niche (slug, name) values ('orphan', 'Orphan')`);
      await tx.query(sql`
        insert into lead (id, niche_id, status, source, risk_flags, correlation_id, confirm_expires_at, created_at)
        select gen_random_uuid(), case when i % 1000 = 0 then (select id from niche where slug = 'orphan') else ${niche.id} end,
               case when i % 100 = 0 then 'pending_approval' else 'expired' end,
               case when i % 1000 = 0 then 'rare' else 'often' end,
               case when i % 500 = 0 then array['disposable'] when i % 50 = 0 then array['ip_many'] else '{}'::text[] end,
               'test', now(), now() - i * interval '1 second'
        from generate_series(1, 20000) i`);
      await tx.query(sql`analyze lead`);
      const plan = await planOf(tx, pageQuery({ limit: 50, ...filter }));
      await tx.query(sql`rollback to before`);
      return plan;
    });
    expect(nodes.filter((node) => /Sort/.test(node['Node Type']))).toEqual([]);
    const scans = nodes.filter((node) => node['Relation Name'] === 'lead').map((node) => node['Index Name']);
    expect(scans).toEqual([index]);
  });

  it.each(['limit=0', 'limit=201', 'status=sold', 'flag=x', 'age=-1', 'cursor=x', 'cursor=WzEsMl0', 'nonsense=1'])(
    'answers 400 to %s',
    async (query) => expect((await get(`/admin/leads?${query}`)).statusCode).toBe(400),
  );
});

describe('one lead', () => {
  it('is shown whole, with consent, duplicates and mails; and the look is on record', async () => {
    const first = await make({ phone: '+14155550123', form: { what: 'x' } });
    const second = await make();
    await world.db.query(sql`update lead set duplicate_of = ${first.id} where id = ${second.id}`);
    const lead = (await get(`/admin/leads/${first.id}`)).json();
    expect(lead).toMatchObject({
      id: first.id,
      niche: { slug: 'roofing' },
      email: first.email,
      phone: '+14155550123',
      form: { what: 'x' },
      ip: '192.0.2.1',
      consent: { text_version: 1, ip: '192.0.2.1' },
      duplicates: [{ id: second.id }],
      mails: [],
      runs: [],
      assignments: [],
      truncated: false,
    });
    expect((await get(`/admin/leads/${second.id}`)).json()).toMatchObject({ duplicates: [{ id: first.id }] });
    expect(await traceOf(first.id)).toMatchObject({ audited: ['lead.viewed'] });
  });

  it('says so when it has more duplicates than it shows', async () => {
    const { id } = await make();
    for (let at = 0; at < 51; at += 1) await make();
    await world.db.query(sql`
      update lead set duplicate_of = ${id} where id in (select id from lead where id <> ${id} order by created_at desc limit 51)`);
    const lead = (await get(`/admin/leads/${id}`)).json<{ duplicates: unknown[]; truncated: boolean }>();
    expect([lead.duplicates.length, lead.truncated]).toEqual([50, true]);
  });
});
