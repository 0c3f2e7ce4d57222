import { type Database, prepared, type Sql, sql, type Tx } from '../postgres/index.ts';
import { boundedRead } from './bounded-read.ts';
import type { JobsRequest } from './list-jobs.ts';
import { letterOfRun, type Run, runColumns } from './runs.ts';

/** A page of runs, and where the next one begins; undefined when there is none. */
export interface Listed {
  readonly runs: readonly Run[];
  readonly next: readonly (string | number)[] | undefined;
}

/** Runs that one look at a window may touch. */
const mostTouched = 5_000;
/** Looks that one page may take. */
const mostLooks = 12;
const minuteMs = 60_000;
/** Runs older than this are removed, in ms. */
const oldestMs = 32 * 24 * 60 * minuteMs;

type DoneRun = Run & { position: string };

/**
 * Done runs, newest enqueued first. No index knows what is done, so that finishing a run touches none: the page looks through windows
 * of time instead, wider ones where little was enqueued, and stops after some. Then it may be short and still have a next one.
 */
export async function listDone(
  db: Database,
  { queue, kind, limit }: Pick<JobsRequest, 'queue' | 'kind' | 'limit'>,
  from: Listed['next'],
): Promise<Listed> {
  return boundedRead(db, async (tx) => {
    const found: DoneRun[] = [];
    let before = from ? { at: String(from[0]), key: String(from[1]) } : { at: await present(tx), key: '' };
    let widthMs = minuteMs;
    for (let look = 0; look < mostLooks && found.length <= limit; look += 1) {
      const window = { ...before, widthMs };
      const { touched, runs, reached, ageMs } = await lookAt(tx, { queue, kind, limit: limit + 1, window });
      if (touched > mostTouched && widthMs > 1) {
        widthMs = Math.max(1, Math.floor(widthMs / 8));
        continue;
      }
      found.push(...runs);
      if (ageMs > oldestMs) return page(found, limit, undefined);
      before = { at: reached, key: '' };
      widthMs *= 4;
    }
    return page(found, limit, [before.at, before.key]);
  });
}

function page(found: readonly DoneRun[], limit: number, next: Listed['next']): Listed {
  const runs = found.slice(0, limit);
  const last = found.length > limit ? runs.at(-1) : undefined;
  return { runs, next: last ? [last.position, last.run_key] : next };
}

async function present(tx: Tx): Promise<string> {
  const { rows } = await tx.query<{ at: string }>(
    sql`select to_jsonb(statement_timestamp() + interval '1 second') #>> '{}' as at`,
  );
  return rows[0]?.at ?? new Date().toISOString();
}

/** A span of `enqueued_at` that ends before a run, or at a moment with the key ''. */
export interface TimeWindow {
  readonly at: string;
  readonly key: string;
  readonly widthMs: number;
}

/** Runs of all queues in a window, some 5,000 at most, in no order. */
export function runsWithin({ at, key, widthMs }: TimeWindow, most: number): Sql {
  return sql`
    select * from ops.job_run
    where enqueued_at >= ${at}::timestamptz - ${widthMs} * interval '1 ms' and enqueued_at <= ${at}::timestamptz
      and (enqueued_at, run_key::text) < (${at}::timestamptz, ${key})
    limit ${most + 1}`;
}

interface Look {
  readonly queue: string;
  readonly kind: string | undefined;
  readonly limit: number;
  readonly window: TimeWindow;
}

async function lookAt(tx: Tx, { queue, kind, limit, window }: Look) {
  const { rows } = await tx.query<DoneRun & { touched: number; reached: string; age_ms: number }>(
    prepared(
      'jobs-done',
      sql`
    with near as materialized (${runsWithin(window, mostTouched)}),
    found as (
      select * from near
      where state = 'done' and queue = ${queue} and kind = coalesce(${kind ?? null}, kind)
      order by enqueued_at desc, run_key desc limit ${limit})
    select t.touched, t.reached, t.age_ms, f.*
    from (select count(*) as touched,
                 to_jsonb(${window.at}::timestamptz - ${window.widthMs} * interval '1 ms') #>> '{}' as reached,
                 extract(epoch from statement_timestamp() - ${window.at}::timestamptz)::float8 * 1000 as age_ms
          from near) t
    left join (
      select ${runColumns}, to_jsonb(r.enqueued_at) #>> '{}' as position
      from found r left join ops.job_outbox o using (run_key) ${letterOfRun}) f on true
    order by f.enqueued_at desc, f.run_key desc`,
    ),
  );
  const [first] = rows;
  return {
    touched: first?.touched ?? 0,
    reached: first?.reached ?? window.at,
    ageMs: first?.age_ms ?? 0,
    runs: rows.filter((row) => row.run_key !== null),
  };
}
