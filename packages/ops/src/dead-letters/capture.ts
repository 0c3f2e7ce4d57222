import { prepared, sql, type Tx } from '../postgres/index.ts';
import { type Death, probeKind } from '../queues/index.ts';
import { fingerprintOf } from './fingerprint.ts';

/** A death as its letter is written: what the run says, or what Redis alone knew. */
export interface Evidence extends Omit<Death, 'runKey'> {
  /** Null for what only Redis knew. */
  readonly runKey: string | null;
  /** BullMQ's id of the job. */
  readonly jobId: string;
  /** In place of `body`: content that is no text Postgres takes, in base64. */
  readonly bytes?: string;
  readonly workerVersion?: string;
  readonly lacks?: string;
}

/**
 * Writes the letters of deaths, in the transaction of their verdicts. A first death makes a letter; the death of a retry puts its letter
 * back to `pending`, and its item of a redrive to `failed`. A second capture of the same death changes nothing.
 */
export async function captureDeaths(tx: Tx, deaths: readonly Death[]): Promise<void> {
  const evidence = deaths.map((death) => ({ ...death, jobId: death.runKey }));
  const letters = await writeLetters(tx, evidence);
  if (letters < deaths.length) await reopenLetters(tx, evidence);
}

/**
 * The rare case of a first death whose work has a letter already: Postgres lost a run, its job was captured as orphaned, and the work
 * was asked for again under the same key. One piece of work has one letter, so that one is opened again with the new evidence; the
 * death is not counted twice. While a retry of it runs, that retry speaks for it.
 */
async function reopenLetters(tx: Tx, evidence: readonly Evidence[]): Promise<void> {
  const rows = evidence.filter(({ letterId }) => letterId === null).map(rowOf);
  if (rows.length === 0) return;
  await tx.query(sql`
    with death as materialized (
      select d.*, l.id, l.state from json_to_recordset(${JSON.stringify(rows)}::json)
        as d(queue text, job_id text, root_key text, run_key text, cause text, body text, error_type text, error_message text,
             error_code text, stack text, fingerprint text, title text, message text, frame text, attempts int, died_at timestamptz)
      join ops.dead_letter_queue l on l.source = 'queue' and l.queue_name = left(d.queue, 100) and l.root_key = d.root_key
      -- Not those that were made just now.
      where l.run_key is distinct from d.run_key or l.cause = 'orphaned'),
    reopened as (
      update ops.dead_letter_queue l
      set state = 'pending', version = l.version + 1, run_key = d.run_key, job_id = d.job_id, cause = d.cause,
          error_type = d.error_type, error_message = d.error_message, error_code = d.error_code, stack_trace = d.stack,
          fingerprint = d.fingerprint, attempts = l.attempts + d.attempts, failed_at = d.died_at, resolved_at = null,
          resolved_by = null, resolution = null, snoozed_until = null, snoozed_deaths = null,
          payload_version = l.payload_version + (d.body is not null)::int,
          payload = case when d.body is null then l.payload when pg_input_is_valid(d.body, 'jsonb') then d.body::jsonb end,
          payload_bytes = coalesce(octet_length(d.body), l.payload_bytes)
      from death d where l.id = d.id and l.state <> 'retrying'
      returning l.id, l.payload_version),
    kept as (
      insert into ops.dead_letter_payload (letter_id, version, body, sha256)
      select d.id, r.payload_version, d.body, encode(sha256(convert_to(d.body, 'UTF8')), 'hex')
      from death d join reopened r on r.id = d.id where d.body is not null),
    grouped as (
      insert into ops.dead_letter_group (fingerprint, title, error_type, message, frame, sample_id, first_seen, last_seen)
      select distinct on (fingerprint) fingerprint, title, error_type, message, frame, id, died_at, died_at
      from death order by fingerprint
      on conflict (fingerprint) do nothing)
    insert into ops.job_death (queue, deaths) select queue, -count(*) from death group by queue`);
}

/** Answers how many letters were made or changed. */
export async function writeLetters(tx: Tx, evidence: readonly Evidence[]): Promise<number> {
  if (evidence.length === 0) return 0;
  const { rows } = await tx.query<{ letters: number }>(letterStatement(evidence.map(rowOf)));
  return rows[0]?.letters ?? 0;
}

type Row = ReturnType<typeof rowOf>;

function rowOf(death: Evidence) {
  const { failure, cause } = death;
  const group = fingerprintOf({ ...failure, cause });
  return {
    queue: death.queue,
    kind: death.kind,
    job_id: death.jobId.slice(0, 100),
    root_key: death.rootKey,
    run_key: death.runKey,
    letter_id: death.letterId,
    generation: death.generation,
    cause,
    body: death.body ?? null,
    bytes: death.bytes ?? null,
    error_type: group.errorType,
    error_message: failure.message,
    error_code: failure.code,
    stack: failure.stack || null,
    fingerprint: group.fingerprint,
    title: group.title.slice(0, 300),
    message: group.message,
    frame: group.frame,
    attempts: death.attempts,
    worker: death.workerId,
    correlation_id: death.correlationId,
    causation_id: death.causationId,
    traceparent: death.traceparent,
    died_at: death.diedAt,
    first_failed_at: death.firstFailedAt,
    synthetic: death.kind === probeKind,
    lacks: death.lacks ?? (death.body === undefined && death.bytes === undefined ? 'payload: it was not kept' : null),
  };
}

/** The group of each letter that was made or changed, and the count of those whose evidence lacks something. */
const bookkeeping = sql`
  grouped as (
    insert into ops.dead_letter_group as g (fingerprint, title, error_type, message, frame, sample_id, first_seen, last_seen,
                                            first_version, last_version)
    select distinct on (d.fingerprint) d.fingerprint, d.title, d.error_type, d.message, d.frame, d.id, d.died_at, d.died_at,
           d.worker_version, d.worker_version
    from death d
    where not d.synthetic and (d.id in (select id from made union all select id from again)) is true
    order by d.fingerprint
    on conflict (fingerprint) do nothing),
  lacking as (
    insert into ops.job_death (queue, deaths, capture_errors)
    select queue, 0, count(*) from death
    where lacks is not null and (id in (select id from made union all select id from again)) is true
    group by queue)`;

/**
 * The ladder of content: exact text beside jsonb, where Postgres takes it as jsonb; else the exact text alone; else bytes. What Postgres
 * thinks of a text is asked, not tried, so that no content makes the statement fail. Memberships are asked with `is true`, which makes
 * each a hash: as joins they would be nested loops, for the planner takes CTEs that write for one row (256 deaths: 65,536 pairs).
 */
function letterStatement(rows: readonly Row[]) {
  return prepared(
    'capture',
    sql`
      with death as materialized (
        select d.*, coalesce(d.letter_id, gen_random_uuid()) as id, left(w.version, 100) as worker_version, left(w.host, 255) as worker_host
        from json_to_recordset(${JSON.stringify(rows)}::json)
          as d(queue text, kind text, job_id text, root_key text, run_key text, letter_id uuid, generation int, cause text, body text,
               bytes text, error_type text, error_message text, error_code text, stack text, fingerprint text, title text,
               message text, frame text, attempts int, worker uuid, correlation_id text, causation_id text, traceparent text,
               died_at timestamptz, first_failed_at timestamptz, synthetic boolean, lacks text)
        left join ops.worker w on w.id = d.worker),
      made as (
        insert into ops.dead_letter_queue (id, queue_name, kind, job_id, root_key, run_key, cause, payload, payload_bytes, error_type,
          error_message, error_code, stack_trace, fingerprint, attempts, failed_at, first_failed_at, worker_version, worker_host,
          correlation_id, causation_id, traceparent, evidence_lacks, synthetic, state, resolved_at, resolution)
        select id, left(queue, 100), kind, job_id, root_key, run_key, cause,
               case when body is not null and pg_input_is_valid(body, 'jsonb') then body::jsonb end,
               coalesce(octet_length(body), octet_length(decode(bytes, 'base64')), 0), error_type, error_message, error_code, stack,
               fingerprint, attempts, died_at, first_failed_at, worker_version, worker_host, correlation_id, causation_id, traceparent,
               lacks, synthetic, case when synthetic then 'resolved' else 'pending' end,
               case when synthetic then clock_timestamp() end, case when synthetic then '{"how":"probe"}'::jsonb end
        from death where letter_id is null
        on conflict (source, queue_name, root_key) do nothing
        returning id),
      kept as (
        insert into ops.dead_letter_payload (letter_id, version, encoding, body, bytes, sha256)
        select d.id, 0, case when d.body is null then 'bytes' else 'json' end, d.body,
               case when d.body is null then decode(d.bytes, 'base64') end,
               encode(sha256(coalesce(convert_to(d.body, 'UTF8'), decode(d.bytes, 'base64'))), 'hex')
        from death d
        where (d.body is not null or d.bytes is not null) and (d.id in (select id from made)) is true),
      again as (
        update ops.dead_letter_queue l
        set state = 'pending', version = l.version + 1, run_key = d.run_key, job_id = d.job_id, cause = d.cause,
            error_type = d.error_type, error_message = d.error_message, error_code = d.error_code, stack_trace = d.stack,
            fingerprint = d.fingerprint, attempts = l.attempts + d.attempts, failed_at = d.died_at,
            worker_version = d.worker_version, worker_host = d.worker_host
        from death d, ops.dead_letter_queue before
        where l.id = d.letter_id and before.id = l.id and l.generation = d.generation and l.state = 'retrying'
        returning l.id, l.generation, l.fingerprint, before.fingerprint as was),
      item as (
        update ops.redrive_item i
        set outcome = 'failed', decided_at = clock_timestamp(),
            new_fingerprint = case when a.fingerprint <> a.was then a.fingerprint end
        from again a where i.letter_id = a.id and i.generation = a.generation and i.outcome = 'enqueued'),
      ${bookkeeping}
      select ((select count(*) from made) + (select count(*) from again))::int as letters`,
  );
}
