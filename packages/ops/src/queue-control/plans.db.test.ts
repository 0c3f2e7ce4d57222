import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCursors } from '../dead-letter-search/index.ts';
import { type Database, type Queryable, sql, type Statement } from '../postgres/index.ts';
import { readOverview } from '../queues/index.ts';
import { openControl } from './control.fixture.ts';
import { explainJobWait, listJobs, readQueueDetail } from './index.ts';

/*
 * 200,000 runs: 50,000 done, 50,000 dead with letters, 100,000 open, of which 10,000 are handed over. Enough for a planner to prefer a scan
 * or a sort of a table where it may.
 */

let control: Awaited<ReturnType<typeof openControl>>;
beforeAll(async () => {
  control = await openControl();
  await fill(control.db);
}, 120_000);
afterAll(() => control.close());

async function fill(db: Database): Promise<void> {
  await db.query(sql`
    insert into ops.job_run (run_key, root_key, queue, kind, state, started, finished, failures, max_attempts, run_at, enqueued_at,
                             last_started_at, finished_at, died_at, cause, correlation_id)
    select 'task-' || n, 'task-' || n, case when n % 10 = 0 then 'other' else 'work' end, 'task',
           case when n <= 50000 then 'done' when n <= 100000 then 'dead' else 'enqueued' end, (n <= 100000)::int, (n <= 100000)::int, 0, 3,
           now() - (200000 - n) * interval '100 ms', now() - (200000 - n) * interval '100 ms',
           case when n <= 100000 then now() end, case when n <= 100000 then now() end,
           case when n between 50001 and 100000 then now() - (n % 50000) * interval '1 s' end,
           case when n between 50001 and 100000 then 'permanent' end, 'seeded-0001'
    from generate_series(1, 200000) n`);
  await db.query(sql`
    insert into ops.job_outbox (run_key, queue, envelope, dispatched_at)
    select run_key, queue, '{"body":{"n":1}}', case when n <= 10000 then now() end
    from (select *, row_number() over (order by enqueued_at) as n from ops.job_run where state = 'enqueued') r order by n`);
  await db.query(sql`
    insert into ops.dead_letter_queue (queue_name, kind, root_key, run_key, cause, error_type, error_message, fingerprint, attempts, failed_at,
                                       first_failed_at, correlation_id)
    select queue, kind, root_key, run_key, 'permanent', 'Error', 'no', 'v1_' || (ctid::text::point)[0]::int % 50, 1, died_at, died_at, correlation_id
    from ops.job_run where state = 'dead'`);
  for (const table of ['job_run', 'job_outbox', 'dead_letter_queue', 'dead_letter_change']) {
    await db.query({ name: `vacuum-${table}`, text: `vacuum (analyze) ops.${table}`, values: [] });
  }
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly Plans?: readonly PlanNode[];
}

const isBig = (table: string | undefined) =>
  table === 'job_run' || table === 'job_outbox' || table === 'dead_letter_queue';

/** What a plan does to the big tables that it must not: reading one whole, or sorting more than a page's worth of rows. */
function faultsOf(node: PlanNode, most: number): string[] {
  const scans = node['Node Type'] === 'Seq Scan' && isBig(node['Relation Name']);
  const sorts = node['Node Type'] === 'Sort' && node.Plans?.some((part) => part['Actual Rows'] > most);
  return [
    ...(scans ? [`scans ${node['Relation Name']}`] : []),
    ...(sorts ? ['sorts'] : []),
    ...(node.Plans ?? []).flatMap((part) => faultsOf(part, most)),
  ];
}

/** A database that explains each read before it answers it. */
function explaining(db: Database, plans: { text: string; plan: PlanNode }[]): Database {
  const explained = (on: Queryable) => async (statement: Statement) => {
    const { text, values } = statement;
    if (/from ops\.|join ops\./.test(text)) {
      const { rows } = await on.query<{ 'QUERY PLAN': { Plan: PlanNode }[] }>({
        name: '',
        text: `explain (analyze, format json) ${text}`,
        values,
      });
      const plan = rows[0]?.['QUERY PLAN'][0]?.Plan;
      if (plan) plans.push({ text, plan });
    }
    return on.query<never>(statement);
  };
  return {
    ...db,
    url: db.url,
    connections: db.connections,
    query: explained(db),
    transaction: (work, options) => db.transaction((tx) => work({ ...tx, query: explained(tx) }), options),
  };
}

/** Runs `work` and answers the faults of its statements, and how many there were. */
async function faults(work: (db: Database) => Promise<unknown>, most = 5_001) {
  const plans: { text: string; plan: PlanNode }[] = [];
  await work(explaining(control.db, plans));
  expect(plans.length).toBeGreaterThan(0);
  return plans.flatMap(({ text, plan }) => faultsOf(plan, most).map((fault) => `${fault}: ${text}`));
}

describe('at 200,000 runs no big table is read whole or sorted', () => {
  it('for the overview', async () => {
    const { queues, registry } = control;
    expect(await faults((db) => readOverview(db, queues, registry, () => new Date()))).toEqual([]);
  });

  it('for the overview without Redis, beyond the open runs it counts', async () => {
    const { queues, registry } = control;
    const away = { ...queues, counts: () => Promise.reject(new Error('ECONNREFUSED')) };
    const overview = await readOverview(control.db, away, registry, () => new Date());
    expect(overview).toMatchObject({
      counted_from: 'postgres',
      queues: [{ depth: 90_000, not_dispatched: 81_000, dlq_size: 45_000 }, { depth: 10_000 }],
    });
  });

  it.each(['waiting', 'active', 'delayed', 'done', 'dead'] as const)(
    'for a list of jobs that are %s',
    async (state) => {
      for (const [queue, kind] of [['work'], ['other'], ['work', 'task'], ['work', 'none']] as [string, string?][]) {
        const found = await faults(async (db) => {
          const deps = { db, cursors: openCursors(control.db) };
          const first = await listJobs(deps, { queue, kind, state, limit: 50 });
          const cursor = first.pagination.next_cursor ?? undefined;
          return cursor && listJobs(deps, { queue, kind, state, limit: 50, cursor });
        }, 10_001);
        expect(found).toEqual([]);
      }
    },
  );

  it('for the detail of a queue and for why a job waits', async () => {
    const { queues, registry } = control;
    expect(await faults((db) => readQueueDetail({ db, queues, registry }, 'work'), 20_001)).toEqual([]);
    expect(await faults((db) => explainJobWait({ db, queues, registry }, 'work', 'task-150001'))).toEqual([]);
  });
});

describe('a list of many pages', () => {
  it.each([
    ['waiting', 90_000],
    ['done', 45_000],
    ['dead', 45_000],
  ] as const)('of jobs that are %s holds each once, in order', async (state, total) => {
    const deps = { db: control.db, cursors: openCursors(control.db) };
    const seen: string[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < 99 && seen.length < 4_000; page += 1) {
      const { jobs, pagination } = await listJobs(deps, { queue: 'work', state, limit: 200, cursor });
      seen.push(...jobs.map(({ job_id }) => job_id));
      cursor = pagination.next_cursor ?? undefined;
      if (cursor === undefined) break;
    }
    expect(seen.length).toBe(Math.min(total, 4_000));
    expect(new Set(seen).size).toBe(seen.length);
  });
});
