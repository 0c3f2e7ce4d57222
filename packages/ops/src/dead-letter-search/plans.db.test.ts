import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { parseFilter } from '../filters/index.ts';
import { raw, type Sql, sql } from '../postgres/index.ts';
import { countStatement, pageStatement } from './list-queries.ts';
import { openSearch, operator, type Search } from './search.fixture.ts';
import { armsOf, selectionOf } from './selection.ts';

const letters = inject('planLetters');
const fillWithinMs = 120_000 * (letters / 200_000);

let search: Search;
beforeAll(async () => {
  search = await openSearch();
  await fill(search);
}, fillWithinMs);
afterAll(() => search.close());

/** Letters of two queues and of kinds of error with 5,000 each, half of them closed. */
async function fill({ db }: Search): Promise<void> {
  const write = sql`
    insert into ops.dead_letter_queue (queue_name, kind, job_id, root_key, state, resolved_at, cause, payload, error_type, error_message,
                                       stack_trace, fingerprint, attempts, failed_at, first_failed_at, correlation_id)
    select case n % 4 when 0 then 'report_export' else 'email_send' end, 'send', 'job-' || n, 'job-' || n,
           case n % 2 when 0 then 'pending' else 'resolved' end, case n % 2 when 1 then now() end, 'exhausted',
           jsonb_build_object('n', n), 'Error', 'SMTP timeout', repeat('at send (mail.js)', 10), 'v1_' || lpad(to_hex(n % ${letters / 5_000}::int), 16, '0'), 3,
           now() - n * interval '1 s', now() - n * interval '1 s', 'journey-' || n
    from generate_series(1, ${letters}::int) n`;
  await db.transaction((tx) => tx.query(write), { statementTimeoutMs: fillWithinMs });
  // Without `freeze` it skips a page that somebody reads just then, whose rows would be fetched to see whether they are visible.
  await db.query(sql`vacuum (freeze, analyze) ops.dead_letter_queue`);
}

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Rows': number;
  'Heap Fetches'?: number;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}

/** Every step of the plan of a statement, which is run. */
async function steps(statement: Sql): Promise<Plan[]> {
  const { rows } = await search.db.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    sql`explain (analyze, format json) ${statement}`,
  );
  const plan = rows[0]?.['QUERY PLAN'][0].Plan;
  const flat = (step: Plan): Plan[] => [step, ...(step.Plans ?? []).flatMap(flat)];
  return plan ? flat(plan) : [];
}

const selecting = () => ({ registry: search.plane.registry, actor: operator });
const arms = (q: string) => armsOf(selectionOf(parseFilter(q), selecting()));

function expectIndexed(plan: Plan[], indexes: string[], most: number): void {
  const nodes = plan.map((step) => step['Node Type']);
  expect(nodes).not.toContain('Seq Scan');
  expect(nodes).not.toContain('Bitmap Heap Scan');
  const read = plan.filter(
    (step) => /Index/.test(step['Node Type']) && step['Index Name'] !== 'dead_letter_queue_pkey',
  );
  expect([...new Set(read.map((step) => step['Index Name']))]).toEqual(indexes);
  const rows = read.map((step) => step['Actual Rows'] + (step['Rows Removed by Filter'] ?? 0));
  expect(Math.max(...rows)).toBeLessThanOrEqual(most);
  // A page may be put in order; the table may not.
  for (const step of plan.filter((one) => /Sort/.test(one['Node Type'])))
    expect(step['Actual Rows']).toBeLessThanOrEqual(most);
}

const fp = 'fp:v1_0000000000000007';
const indexed: [string, string[]][] = [
  ['', ['dead_letter_failed_at']],
  ['state:open', ['idx_dlq_resolved_failed_at']],
  ['state:closed', ['idx_dlq_resolved_failed_at']],
  ['queue:email_send', ['idx_dlq_queue_failed_at']],
  ['queue:email_send state:open', ['dead_letter_open']],
  ['queue:email_send,report_export', ['idx_dlq_queue_failed_at']],
  [fp, ['dead_letter_fingerprint']],
  [`${fp} state:open`, ['dead_letter_fingerprint']],
];

describe(`at ${letters} letters`, () => {
  it.each(indexed)('the first page of %j reads %j, and no more than the page', async (q, indexes) => {
    expectIndexed(await steps(pageStatement({ arms: arms(q), sort: '-failed_at', limit: 51 })), indexes, 51);
  });

  it.each(indexed)('a page in the deep of %j, either way, costs what the first one costs', async (q, indexes) => {
    const { rows } = await search.db.query<{ at: string; id: string }>(
      sql`select failed_at::text as at, id from ops.dead_letter_queue order by failed_at offset 2000 limit 1`,
    );
    const position = [rows[0]?.at ?? '', rows[0]?.id ?? ''];
    for (const towards of ['next', 'prev'] as const) {
      const page = pageStatement({ arms: arms(q), sort: '-failed_at', limit: 51, cursor: { position, towards } });
      expectIndexed(await steps(page), indexes, 51);
    }
  });

  it.each(indexed)('page 200 of %j walks keys in an index and fetches its own rows alone', async (q, indexes) => {
    const plan = await steps(pageStatement({ arms: arms(q), sort: '-failed_at', limit: 51, offset: 9_950 }));
    expectIndexed(plan, indexes, 10_001);
    for (const step of plan.filter((one) => one['Node Type'] === 'Index Only Scan'))
      expect(step['Heap Fetches']).toBe(0);
    expect(plan.filter((step) => step['Actual Rows'] > 51).map((step) => step['Node Type'])).not.toContain(
      'Index Scan',
    );
  });

  it.each(indexed)('the total of %j is counted in an index, to 10,001', async (q, indexes) => {
    expectIndexed(await steps(countStatement(arms(q), 10_001, true)), indexes, 10_001);
  });

  it.each([
    ['id:00000000-0000-4000-8000-000000000000', 'dead_letter_queue_pkey'],
    ['job:job-77', 'dead_letter_root'],
    ['correlation:journey-77', 'dead_letter_correlation'],
  ])('%j is looked up', async (q, index) => {
    const plan = await steps(pageStatement({ arms: arms(q), sort: '-failed_at', limit: 51 }));
    expect(plan.map((step) => step['Node Type'])).not.toContain('Seq Scan');
    expect(plan.map((step) => step['Index Name'])).toContain(index);
  });

  it('the total is exact to 10,000 and then a minimum, and pages end there', async () => {
    const { pagination } = (await search.get('/queues/dlq?page=200')).json();
    expect(pagination).toMatchObject({ page: 200, total: 10_000, total_pages: 200, total_is_minimum: true });
    expect((await search.get('/queues/dlq?page=201')).json().code).toBe('page_too_deep');
    const exact = (await search.get(`/queues/dlq?q=${fp}`)).json().pagination;
    expect(exact).toMatchObject({ total: 5_000, total_pages: 100 });
    expect(exact.total_is_minimum).toBeUndefined();
  });

  it('the start of a fingerprint is followed like the whole', async () => {
    await search.db.query(sql`
      insert into ops.dead_letter_group (fingerprint, title, error_type, message, first_seen, last_seen)
      values ('v1_000000000000000f', 't', 'Error', 'm', now(), now())`);
    const { pagination } = (await search.get('/queues/dlq?q=fp:v1_0000000000000&limit=1')).json();
    expect(pagination.total).toBe(5_000);
  });

  it('a search looks at every open letter and the newest 100,000 closed ones, and says so', async () => {
    const before = (await search.get('/queues/dlq?q=smtp&limit=1')).json();
    expect(before.search).toMatchObject({ bounded: true, oldest_searched: expect.any(String) });
    const words = '/queues/dlq?q=marker-7';
    const mark = (rank: string) =>
      search.db.query(sql`
        update ops.dead_letter_queue set error_message = 'marker-7'
        where id = (select id from ops.dead_letter_queue where ${raw(rank)} limit 1)`);
    await search.db.query(sql`
      insert into ops.dead_letter_queue (queue_name, kind, root_key, state, resolved_at, cause, error_type, error_message, fingerprint,
                                         attempts, failed_at, first_failed_at, correlation_id)
      select 'email_send', 'send', 'old-' || n, 'resolved', now(), 'exhausted', 'Error', 'marker-7', 'v1_x', 1,
             now() - interval '9 days', now(), 'c' from generate_series(1, 3) n`);
    expect((await search.get(words)).json().entries).toHaveLength(0);
    await mark('not resolved order by failed_at');
    await mark('resolved order by failed_at desc');
    expect((await search.get(words)).json().entries).toHaveLength(2);
    expect((await search.get(`${words}%20state:open`)).json()).toMatchObject({
      pagination: { total: 1 },
      search: { bounded: false, oldest_searched: null },
    });
  });

  it('a filter that takes longer than its limit is refused with a hint', async () => {
    await search.db.query(sql`alter table ops.dead_letter_queue rename column worker_host to host_before`);
    await search.db.query(sql`alter table ops.dead_letter_queue rename to letters`);
    await search.db.query(sql`
      create view ops.dead_letter_queue as
      select *, case when pg_sleep(0.05) is null then null else host_before end as worker_host from ops.letters`);
    try {
      const { statusCode, json } = await search.get(`/queues/dlq?q=host:x`);
      expect([statusCode, json().code]).toEqual([400, 'filter_too_slow']);
      expect(json().details).toMatchObject({ limit_ms: 2_000, hint: expect.stringContaining('state:open') });
    } finally {
      await search.db.query(sql`drop view ops.dead_letter_queue`);
      await search.db.query(sql`alter table ops.letters rename to dead_letter_queue`);
      await search.db.query(sql`alter table ops.dead_letter_queue rename column host_before to worker_host`);
    }
  });
});
