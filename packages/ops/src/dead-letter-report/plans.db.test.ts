import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { listGroups, showGroup, wakeOnce } from '../dead-letter-groups/index.ts';
import { openCursors } from '../dead-letter-search/index.ts';
import { type Database, type Queryable, type Statement, sql } from '../postgres/index.ts';
import { previewRetention, readProof, readReport } from './index.ts';
import { ana, openReports, type Plane } from './report.fixture.ts';

const letters = inject('planLetters');
const fillWithinMs = 120_000 * (letters / 200_000);

let plane: Plane;
beforeAll(async () => {
  ({ plane } = await openReports());
  await plane.db.transaction(seed, { statementTimeoutMs: fillWithinMs });
  await plane.db.query(
    sql`vacuum analyze ops.dead_letter_queue, ops.dead_letter_group, ops.dead_letter_hour, ops.dead_letter_stock`,
  );
}, 1.5 * fillWithinMs);
afterAll(() => plane.close());

/** A month of letters of 200 groups, a third of them open, with their sums. */
async function seed(tx: Queryable): Promise<void> {
  await tx.query(sql`set local session_replication_role = replica`);
  await tx.query(sql`
    insert into ops.dead_letter_queue (queue_name, kind, root_key, cause, state, error_type, error_message, fingerprint, attempts, failed_at,
      first_failed_at, created_at, resolved_at, worker_version, correlation_id)
    select case when n % 5 = 0 then 'mail' else 'work' end, 'task', 'root-' || n, 'exhausted', case when n % 3 = 0 then 'pending' else 'resolved' end,
           'Error', 'no connection', 'v1_' || lpad(to_hex(n * 7919::bigint % 200), 16, '0'), 3, at, at, at, case when n % 3 > 0 then at + interval '1 hour' end,
           '1.0.0', 'correlation-' || n
    from (select n, now() - n * ${2_600_000 / letters}::float8 * interval '1 second' as at from generate_series(1, ${letters}::int) n) drawn`);
  await tx.query(sql`
    insert into ops.dead_letter_group (fingerprint, title, error_type, message, first_seen, last_seen, fixed_in, fixed_at)
    select fingerprint, 'Error', 'Error', 'no connection', min(failed_at), max(failed_at), '2.0.0', now() - interval '1 day'
    from ops.dead_letter_queue group by 1`);
  await tx.query(sql`
    insert into ops.dead_letter_hour (hour, source, queue_name, fingerprint, cause, worker_version, captured, deaths)
    select date_trunc('hour', failed_at, 'UTC'), source, queue_name, fingerprint, cause, worker_version, count(*), count(*)
    from ops.dead_letter_queue group by 1, 2, 3, 4, 5, 6`);
  await tx.query(sql`
    insert into ops.dead_letter_stock (source, queue_name, fingerprint, captured, deaths, open, resolved)
    select source, queue_name, fingerprint, count(*), count(*), count(*) filter (where not resolved), count(*) filter (where resolved)
    from ops.dead_letter_queue group by 1, 2, 3`);
  await tx.query(
    sql`insert into ops.job_death (queue, deaths) select queue_name, count(*) from ops.dead_letter_queue group by 1`,
  );
}

interface Node {
  'Node Type': string;
  'Relation Name'?: string;
  'Plan Rows': number;
  Plans?: Node[];
}

/** A database that keeps the plan of each statement before it runs it. */
function explained(db: Database): { db: Database; plans: Node[] } {
  const plans: Node[] = [];
  const through =
    (inner: Queryable): Queryable['query'] =>
    async (statement: Statement) => {
      const { text, values } = statement as { text: string; values: unknown[] };
      const plan = { name: '', text: `explain (format json) ${text}`, values };
      const { rows } = await inner.query<{ 'QUERY PLAN': [{ Plan: Node }] }>(plan);
      plans.push(rows[0]?.['QUERY PLAN'][0].Plan as Node);
      return inner.query(statement);
    };
  const query = through(db);
  const transaction: Database['transaction'] = (work, options) =>
    db.transaction((tx) => work({ ...tx, query: through(tx) }), options);
  return { db: { ...db, query, transaction }, plans };
}

function nodesOf(node: Node): Node[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

const groups = (q?: string, sort?: '-growth') => (db: Database) =>
  listGroups({ db, registry: plane.registry, cursors: openCursors(plane.db) }, { actor: ana, q, sort });
const report = (q?: string, hours?: number) => (db: Database) =>
  readReport({ db, registry: plane.registry }, { actor: ana, q, hours });
const redis = { counts: async () => ({ failed: 0 }) } as never;

it.each<[string, (db: Database) => Promise<unknown>]>([
  ['the groups', groups()],
  ['the open groups of a queue', groups('state:open queue:mail')],
  ['the groups of the last day', groups('age:<24h')],
  ['the groups by growth', groups(undefined, '-growth')],
  ['one group', (db) => showGroup(db, 'v1_0000000000000007')],
  ['the end of snoozes', wakeOnce],
  ['the report of a day', report()],
  ['the report of a month', report(undefined, 720)],
  ['the report of a group', report('fp:v1_0000000000000007')],
  ['the proof', (db) => readProof({ db, registry: plane.registry, queues: redis, failedSets: {} as never })],
  ['the retention', previewRetention],
])('%s neither scans nor sorts the letters', async (_what, run) => {
  const { db, plans } = explained(plane.db);
  await run(db);
  const nodes = plans.flatMap(nodesOf);
  expect(nodes.length).toBeGreaterThan(0);
  const scans = nodes.filter(
    (node) => node['Node Type'] === 'Seq Scan' && node['Relation Name'] === 'dead_letter_queue',
  );
  const sorts = nodes.filter((node) => node['Node Type'] === 'Sort' && node['Plan Rows'] > letters / 4);
  expect({ scans, sorts }).toEqual({ scans: [], sorts: [] });
});

it('a scan would be seen', async () => {
  const { db, plans } = explained(plane.db);
  await groups('error:Error')(db);
  expect(plans.flatMap(nodesOf).some((node) => node['Relation Name'] === 'dead_letter_queue')).toBe(true);
});
