import type { Cursors } from '../dead-letter-search/index.ts';
import { type Database, join, prepared, type Queryable, type Sql, sql } from '../postgres/index.ts';
import type { JobRow, JobState } from './contract.ts';
import { boundedRead } from './bounded-read.ts';
import { type Listed, listDone } from './list-done.ts';
import { jobRowOf, letterOfRun, type Run, runColumns } from './runs.ts';

export interface JobsRequest {
  readonly queue: string;
  readonly state: JobState;
  readonly kind?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface JobsPage {
  readonly jobs: JobRow[];
  readonly pagination: { readonly limit: number; readonly next_cursor: string | null };
}

/** The jobs of a queue in one state: open ones in the order they were enqueued, ended ones newest first. Throws refusal `cursor_invalid`. */
export async function listJobs(
  { db, cursors }: { db: Database; cursors: Cursors },
  request: JobsRequest,
): Promise<JobsPage> {
  const { queue, state, kind, limit, cursor } = request;
  const scope = { sort: 'jobs', filter: JSON.stringify([queue, state, kind ?? null]) };
  const from = cursor === undefined ? undefined : (await cursors.read(cursor, scope)).position;
  const { runs, next } = await pageOf(db, request, from);
  const begun = new Date().toISOString();
  return {
    jobs: runs.map(jobRowOf),
    pagination: {
      limit,
      next_cursor: next ? await cursors.sign({ position: next, towards: 'next', begun }, scope) : null,
    },
  };
}

function pageOf(db: Database, request: JobsRequest, from: Listed['next']): Promise<Listed> {
  switch (request.state) {
    case 'done':
      return listDone(db, request, from);
    case 'dead':
      return boundedRead(db, (tx) => listDead(tx, request, from));
    default:
      return boundedRead(db, (tx) => listOpen(tx, request, from));
  }
}

/** Open runs that one page looks at. */
const mostLookedAt = 5_000;

const isInState: Readonly<Record<'waiting' | 'active' | 'delayed', Sql>> = {
  waiting: sql`r.started = r.finished and r.run_at <= statement_timestamp()`,
  active: sql`r.started > r.finished`,
  delayed: sql`r.started = r.finished and r.run_at > statement_timestamp()`,
};

async function listOpen(db: Queryable, request: JobsRequest, from: Listed['next']): Promise<Listed> {
  const { queue, state, kind, limit } = request;
  const after = Number(from?.[0] ?? 0);
  if (state === 'done' || state === 'dead') throw new TypeError(`a job that is ${state} is not open`);
  const conditions = [isInState[state], ...(kind === undefined ? [] : [sql`r.kind = ${kind}`])];
  const looked = sql`
    select id, run_key, dispatched_at, dispatches from ops.job_outbox
    where queue = ${queue} and id > ${after} order by queue, id limit ${mostLookedAt}`;
  const { rows } = await db.query<Run & { outbox_id: number }>(
    prepared(
      'jobs-open',
      sql`
    select ${runColumns}
    from (${looked}) o join ops.job_run r using (run_key) ${letterOfRun}
    where ${join(conditions, ' and ')}
    order by o.id limit ${limit + 1}`,
    ),
  );
  const runs = rows.slice(0, limit);
  if (rows.length > limit) return { runs, next: [runs.at(-1)?.outbox_id ?? after] };
  return { runs, next: await lookedUntil(db, looked) };
}

/** Where a page that looked at all it may has ended; undefined when nothing was left. */
async function lookedUntil(db: Queryable, looked: Sql): Promise<Listed['next']> {
  const { rows } = await db.query<{ seen: number; until: number | null }>(
    sql`select count(*) as seen, max(id) as until from (${looked}) o`,
  );
  const { seen = 0, until = null } = rows[0] ?? {};
  return seen < mostLookedAt || until === null ? undefined : [until];
}

/** Dead runs by their letters, newest death first: of each letter the run that died last, also where that was sent to another queue. */
async function listDead(db: Queryable, { queue, kind, limit }: JobsRequest, from: Listed['next']): Promise<Listed> {
  const [at, key] = from ?? [];
  const before =
    at === undefined
      ? sql`true`
      : sql`failed_at <= ${at}::timestamptz and (failed_at, run_key) < (${at}::timestamptz, ${key})`;
  // Without a kind every row is one of the page.
  const most = kind === undefined ? limit + 1 : mostLookedAt;
  const looked = sql`
    select * from ops.dead_letter_queue
    where queue_name = ${queue} and source = 'queue' and run_key is not null and ${before}
    order by queue_name, failed_at desc, run_key desc limit ${most}`;
  const { rows } = await db.query<Run & { position: string }>(
    prepared(
      'jobs-dead',
      sql`
    select ${runColumns}, to_jsonb(l.failed_at) #>> '{}' as position
    from (${looked}) l join ops.job_run r using (run_key) left join ops.job_outbox o using (run_key)
    where r.died_at is not null and r.kind = coalesce(${kind ?? null}, r.kind)
    order by l.failed_at desc, l.run_key desc limit ${limit + 1}`,
    ),
  );
  const runs = rows.slice(0, limit);
  const last = rows.length > limit ? runs.at(-1) : undefined;
  return { runs, next: last ? [last.position, last.run_key] : await deadUntil(db, looked, most) };
}

/** As {@link lookedUntil}, of dead runs. */
async function deadUntil(db: Queryable, looked: Sql, most: number): Promise<Listed['next']> {
  const { rows } = await db.query<{ seen: number; position: string; run_key: string }>(sql`
    select count(*) over () as seen, to_jsonb(failed_at) #>> '{}' as position, run_key
    from (${looked}) l order by failed_at, run_key limit 1`);
  const [last] = rows;
  return last && last.seen >= most ? [last.position, last.run_key] : undefined;
}
