import type { z } from 'zod';
import { type Queryable, sql } from '../postgres/index.ts';
import type { proofProbe } from './contract.ts';

export type ProbeResult = z.infer<typeof proofProbe>;

/** How soon after its start a probe must be captured, in s. */
export const capturedWithinS = 30;

interface ProbeRow {
  queue: string;
  asked_at: Date;
  captured_at: Date | null;
  begun_s: number | null;
}

/** The newest probe of each queue; the one before it, while the newest has not run yet. */
export async function readProbes(db: Queryable): Promise<Map<string, ProbeResult>> {
  const { rows } = await db.query<ProbeRow & { before: Date | null }>(sql`
    select p.queue, p.asked_at, d.created_at as captured_at,
           extract(epoch from clock_timestamp() - coalesce(r.died_at, r.last_started_at))::float8 as begun_s,
           case when d.id is null then (
             select b.created_at from ops.dead_letter_queue b
             where b.queue_name = p.queue and b.synthetic order by b.failed_at desc limit 1) end as before
    from ops.capture_probe p
    left join ops.job_run r on r.run_key::text = p.run_key
    left join ops.dead_letter_queue d on d.source = 'queue' and d.queue_name = p.queue and d.root_key = p.run_key`);
  return new Map(rows.map((row) => [row.queue, resultOf(row, row.before)]));
}

function resultOf({ asked_at, captured_at, begun_s }: ProbeRow, before: Date | null): ProbeResult {
  if (captured_at) {
    const took = Math.max(0, captured_at.getTime() - asked_at.getTime());
    return { at: asked_at.toISOString(), ok: true, took_ms: took };
  }
  if (isOverdue(begun_s)) return { at: asked_at.toISOString(), ok: false, took_ms: null };
  return before
    ? { at: before.toISOString(), ok: true, took_ms: null }
    : { at: asked_at.toISOString(), ok: null, took_ms: null };
}

/** It began, and its letter is not there: one that waits for its turn says nothing of captures. */
function isOverdue(begunS: number | null): boolean {
  return begunS !== null && begunS > capturedWithinS;
}

/** Queues whose newest probe began and was not captured in time. */
export async function overdueProbes(db: Queryable): Promise<string[]> {
  const probes = await readProbes(db);
  return [...probes].filter(([, { ok }]) => ok === false).map(([queue]) => queue);
}

/** When the newest probe of each queue was captured, in s since 1970. */
export async function lastCaptured(db: Queryable, queues: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await db.query<{ queue: string; at: number }>(sql`
    select q.queue, extract(epoch from d.created_at)::float8 as at
    from unnest(${[...queues]}::text[]) as q(queue)
    cross join lateral (select created_at from ops.dead_letter_queue
                        where queue_name = q.queue and synthetic order by failed_at desc limit 1) d`);
  return new Map(rows.map(({ queue, at }) => [queue, at]));
}
