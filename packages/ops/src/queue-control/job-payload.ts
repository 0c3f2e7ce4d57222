import { maskJson } from '../dead-letter-search/index.ts';
import { type Queryable, sql } from '../postgres/index.ts';
import type { Run } from './runs.ts';

/** The payload of a run as an operator may see it. */
export interface ShownPayload {
  readonly payload: unknown;
  readonly payload_masked: readonly string[];
  readonly payload_lacks: string | null;
}

interface Reader {
  readonly inClear: boolean;
  /** Masked besides what keys tell. */
  readonly paths: readonly string[];
}

/** Reads a payload where it is kept: with the open run, in the table of large ones, or with the dead letter. */
export async function showPayload(db: Queryable, run: Run, { inClear, paths }: Reader): Promise<ShownPayload> {
  const text = await readText(db, run);
  if (text === null) {
    const why = run.state === 'done' ? 'a job that is done keeps no payload' : 'no JSON text of it was kept';
    return { payload: null, payload_masked: [], payload_lacks: why };
  }
  const shown = inClear ? { text, masked: [] } : maskJson(text, paths);
  return { payload: JSON.parse(shown.text) as unknown, payload_masked: shown.masked, payload_lacks: null };
}

async function readText(db: Queryable, run: Run): Promise<string | null> {
  const { rows } = await db.query<{ body: string | null }>(sql`
    select coalesce(
      (select (envelope::json -> 'body')::text from ops.job_outbox where run_key = ${run.run_key}),
      (select body from ops.job_payload where run_key = ${run.run_key}),
      (select p.body from ops.dead_letter_queue l
       join ops.dead_letter_payload p on p.letter_id = l.id and p.encoding = 'json'
         and p.version = case when ${run.generation}::int = 0 then 0 else l.payload_version end
       where l.id = ${run.letter_id}::uuid)) as body`);
  return rows[0]?.body ?? null;
}
