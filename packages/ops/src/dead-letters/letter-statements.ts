import { empty, prepared, type Sql, sql, type Statement } from '../postgres/index.ts';
import { deadColumns, type DyingRow, probeKind, verdictParts } from '../queues/index.ts';

/**
 * An id that begins with the hour of the death, in two bytes, and is random from there on: letters that died together stand together in
 * every index of theirs, those of their payloads, runs and audit rows too, so that neither a capture nor a redrive jumps through all of
 * them. No more of the time is in it, as people name a letter by the first characters of its id.
 */
export const letterIdOf = (diedAt: Sql): Sql => sql`
  encode(substr(int8send(extract(epoch from ${diedAt})::bigint / 3600), 7) || substr(uuid_send(gen_random_uuid()), 3), 'hex')::uuid`;

/** A dead run, and the group its letter belongs to. */
export interface DeadRun {
  readonly run_key: string;
  readonly fingerprint: string;
}

/** What a fingerprint stands for. */
export interface GroupRow {
  readonly fingerprint: string;
  readonly title: string;
  readonly error_type: string;
  readonly message: string;
  readonly frame: string | null;
}

const named = (groups: readonly GroupRow[]): Sql => sql`
  named as materialized (
    select * from json_to_recordset(${JSON.stringify(groups)}::json)
      as g(fingerprint text, title text, error_type text, message text, frame text))`;

/** What a letter says of a dead run `r`, and of the process `w` that ran it. */
const evidence = sql`
  left(r.run_key, 100) as job_id, null::text as bytes, left(w.version, 100) as worker_version, left(w.host, 255) as worker_host,
  r.kind = ${probeKind} as synthetic`;

/** What a letter says of a failure. */
const errorOf = ({ type, message, code, stack }: Record<'type' | 'message' | 'code' | 'stack', Sql>): Sql => sql`
  coalesce(nullif(${type}, ''), r.cause) as error_type, coalesce(${message}, '') as error_message, ${code} as error_code,
  nullif(${stack}, '') as stack`;

const lacksOf = (body: Sql): Sql => sql`case when ${body} is null then 'payload: it was not kept' end`;

/** Of a row of `ops.job_run`: of its first attempt that failed, if that is not the one that died. */
const firstFailedAt = sql`coalesce((attempts_history -> 0 ->> 'ended_at')::timestamptz, died_at)`;

/**
 * Verdicts and letters of first deaths in one statement, for one way to Postgres and back is most of what a death waits for. Answers the runs
 * it took: not those which are decided, and not the retries of letters. Fails as a whole where a letter of such work is known already.
 */
export function burial(rows: readonly DyingRow[], groups: readonly GroupRow[], workerId: string): Statement {
  const more = sql`
    r.failures as attempts, r.causation_id, r.traceparent, r.worker, r.died_at, ${firstFailedAt} as first_failed_at,
    ${errorOf({ type: sql`d.type`, message: sql`d.message`, code: sql`d.code`, stack: sql`d.stack` })}, d.fingerprint,
    ${letterIdOf(sql`r.died_at`)} as id`;
  return prepared(
    'burial',
    sql`
      with ${verdictParts(rows, { workerId, when: sql`r.dlq_id is null`, more, withLetters: true })},
      settled as (
        delete from ops.job_outbox where run_key = any (array(select run_key::text from dead))
        returning run_key, (${bodyIn(sql`select convert_to(envelope, 'UTF8') as bytes`)}) as body),
      ${named(groups)},
      death as materialized (
        select r.*, ${evidence}, ${lacksOf(sql`r.body`)} as lacks
        from (select dead.*, coalesce(settled.body, p.body) as body
              -- Each row settled is one of the dead. An outer join to the left would be a nested loop: the planner takes them for one row.
              from dead full join settled on settled.run_key = dead.run_key::text
              left join lateral (
                select body from ops.job_payload where run_key = dead.run_key and settled.body is null offset 0) p on true) r
        left join ops.worker w on w.id = r.worker),
      ${insertLetters(empty)}
      select ${deadColumns} from dead`,
  );
}

/** What a run without a letter died of. Deaths that no attempt told of, and those before migration 0007, have it in the history. */
const storedError = sql`
  case when attempts_history -> -1 ->> 'outcome' = 'died' then attempts_history -> -1 -> 'error' else last_error end`;
const ofStored = {
  type: sql`stored ->> 'type'`,
  message: sql`stored ->> 'message'`,
  code: sql`stored ->> 'code'`,
  stack: sql`stored ->> 'stack'`,
};

/**
 * The deaths of runs, from what the verdict wrote: the error and the payload do not travel to this process and back. Every look-up is
 * by key and for its row alone: a plan made while the tables were empty would read them whole for ever (that was half of a capture).
 */
function deathsOfRuns(runs: readonly DeadRun[], groups: readonly GroupRow[]): Sql {
  return sql`
    ${named(groups)},
    death as materialized (
      select e.fingerprint, ${letterIdOf(sql`r.died_at`)} as id, r.*, coalesce(p.body, o.body) as body, ${evidence},
             ${lacksOf(sql`coalesce(p.body, o.body)`)} as lacks
      from json_to_recordset(${JSON.stringify(runs)}::json) as e(run_key text, fingerprint text)
      cross join lateral (
        select run_key, queue, kind, root_key, dlq_id as letter_id, generation, cause, failures as attempts, worker, died_at,
               ${firstFailedAt} as first_failed_at,
               ${errorOf(ofStored)}, correlation_id, causation_id, traceparent
        from (select *, ${storedError} as stored from ops.job_run where run_key = e.run_key offset 0) r offset 0) r
      left join lateral (${bodyInOutbox(sql`e.run_key`)}) o on true
      left join lateral (select body from ops.job_payload where run_key = e.run_key offset 0) p on true
      left join ops.worker w on w.id = r.worker)`;
}

/** One piece of work has one letter. */
const unlessKnown = sql`on conflict (source, queue_name, root_key) do nothing`;

/** What stands before the payload in an envelope, which ends with it. Cannot stand inside of a JSON text, where quotes are escaped. */
const bodyMark = ',"body":';

/**
 * The payload's exact text, from the row of a run in the outbox; null where the envelope names one that is kept apart. Cut out of the bytes: to
 * count the characters before it was a twentieth of a capture.
 */
const bodyInOutbox = (runKey: Sql): Sql =>
  bodyIn(sql`select convert_to(envelope, 'UTF8') as bytes from ops.job_outbox where run_key = ${runKey}`);

const bodyIn = (envelope: Sql): Sql => sql`
  select case when at > 0 then convert_from(substring(bytes from at + ${bodyMark.length}::int
                                                            for octet_length(bytes) - at - ${bodyMark.length}::int), 'UTF8') end as body
  from (select bytes, position(${Buffer.from(bodyMark)}::bytea in bytes) as at from (${envelope} offset 0) e offset 0) e`;

/** Letters of work that had none. Answers how many were made: work that has a letter keeps it as it is. */
export function firstLetters(runs: readonly DeadRun[], groups: readonly GroupRow[]): Statement {
  return prepared(
    'capture',
    sql`with ${deathsOfRuns(runs, groups)}, ${insertLetters(unlessKnown)} select count(*)::int as letters from made`,
  );
}

/** A death as it is told, for jobs that only Redis knew. */
export interface ForeignRow {
  readonly queue: string;
  readonly kind: string;
  readonly job_id: string;
  readonly root_key: string;
  readonly run_key: string | null;
  readonly cause: string;
  readonly body: string | null;
  readonly bytes: string | null;
  readonly error_type: string;
  readonly error_message: string;
  readonly error_code: string | null;
  readonly stack: string | null;
  readonly fingerprint: string;
  readonly attempts: number;
  readonly correlation_id: string;
  readonly causation_id: string | null;
  readonly traceparent: string | null;
  readonly died_at: string;
  readonly lacks: string | null;
}

export function foreignLetters(rows: readonly ForeignRow[], groups: readonly GroupRow[]): Statement {
  return prepared(
    'capture_foreign',
    sql`
      with ${named(groups)},
      death as materialized (
        select d.*, ${letterIdOf(sql`d.died_at`)} as id, d.died_at as first_failed_at, null::text as worker_version, null::text as worker_host,
               false as synthetic
        from json_to_recordset(${JSON.stringify(rows)}::json)
          as d(queue text, kind text, job_id text, root_key text, run_key text, cause text, body text, bytes text, error_type text,
               error_message text, error_code text, stack text, fingerprint text, attempts int, correlation_id text,
               causation_id text, traceparent text, died_at timestamptz, lacks text)),
      ${insertLetters(unlessKnown)}
      select count(*)::int as letters from made`,
  );
}

/** The groups of letters, with one of them as their sample. */
const grouped = (letters: Sql) => sql`
  grouped as (
    insert into ops.dead_letter_group (fingerprint, title, error_type, message, frame, sample_id, first_seen, last_seen, first_version,
                                       last_version)
    select distinct on (d.fingerprint) d.fingerprint, n.title, n.error_type, n.message, n.frame, d.id, d.died_at, d.died_at,
           d.worker_version, d.worker_version
    from (${letters}) d join named n using (fingerprint)
    where not d.synthetic
    order by d.fingerprint
    on conflict (fingerprint) do nothing)`;

/**
 * The ladder of content: exact text beside jsonb, where Postgres takes it as jsonb; else the exact text alone; else bytes. What Postgres
 * thinks of a text is asked, not tried, so that no content makes the statement fail. Memberships are asked with `is true`, which makes
 * each a hash: as joins they would be nested loops, for the planner takes CTEs that write for one row (256 deaths: 65,536 pairs).
 */
function insertLetters(known: Sql): Sql {
  return sql`
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
    from death
    ${known}
    returning id),
  kept as (
    insert into ops.dead_letter_payload (letter_id, version, encoding, body, bytes, sha256)
    select d.id, 0, case when d.body is null then 'bytes' else 'json' end, d.body,
           case when d.body is null then decode(d.bytes, 'base64') end,
           encode(sha256(coalesce(convert_to(d.body, 'UTF8'), decode(d.bytes, 'base64'))), 'hex')
    from death d
    where (d.body is not null or d.bytes is not null) and (d.id in (select id from made)) is true),
  ${grouped(sql`select * from death where (id in (select id from made)) is true`)},
  lacking as (
    insert into ops.job_death (queue, deaths, capture_errors)
    select queue, 0, count(*) from death where lacks is not null and (id in (select id from made)) is true group by queue)`;
}

/**
 * The deaths of retries: each puts its letter back to `pending`, and its item of a redrive to `failed`. Not prepared, for a plan of the
 * time when there were few letters would read them all.
 */
export function returnedLetters(runs: readonly DeadRun[], groups: readonly GroupRow[]): Statement {
  return sql`
    with ${deathsOfRuns(runs, groups)},
    again as (
      update ops.dead_letter_queue l
      set state = 'pending', version = l.version + 1, run_key = d.run_key, job_id = d.job_id, cause = d.cause,
          error_type = d.error_type, error_message = d.error_message, error_code = d.error_code, stack_trace = d.stack,
          fingerprint = d.fingerprint, attempts = l.attempts + d.attempts, failed_at = d.died_at,
          worker_version = d.worker_version, worker_host = d.worker_host
      from death d, ops.dead_letter_queue before
      where l.id = d.letter_id and before.id = l.id and l.generation = d.generation and l.state = 'retrying'
      returning l.id, l.generation, l.fingerprint, before.fingerprint as was, before.run_key as died_before,
                jsonb_build_object('type', before.error_type, 'message', before.error_message, 'code', before.error_code,
                                   'stack', coalesce(before.stack_trace, '')) as error_before),
    -- What the letter said of the death before goes to the run that died it.
    moved as (
      update ops.job_run r set last_error = a.error_before
      from again a where r.run_key = a.died_before and r.state = 'dead' and r.last_error is null),
    item as (
      update ops.redrive_item i
      set outcome = 'failed', decided_at = clock_timestamp(),
          new_fingerprint = case when a.fingerprint <> a.was then a.fingerprint end
      from again a where i.letter_id = a.id and i.generation = a.generation and i.outcome = 'enqueued'),
    ${grouped(sql`
      select fingerprint, letter_id as id, died_at, worker_version, synthetic from death
      where (letter_id in (select id from again)) is true`)}
    select count(*)::int as letters from again`;
}

/**
 * The rare case of a first death whose work has a letter already: Postgres lost a run, its job was captured as orphaned, and the work
 * was asked for again under the same key. One piece of work has one letter, so that one is opened again with the new evidence; the
 * death is not counted twice. While a retry of it runs, that retry speaks for it.
 */
export function reopenedLetters(runs: readonly DeadRun[], groups: readonly GroupRow[]): Statement {
  return sql`
    with ${deathsOfRuns(runs, groups)},
    known as materialized (
      select d.*, l.id as known_id
      from death d
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
      from known d where l.id = d.known_id and l.state <> 'retrying'
      returning l.id, l.payload_version),
    kept as (
      insert into ops.dead_letter_payload (letter_id, version, body, sha256)
      select d.known_id, r.payload_version, d.body, encode(sha256(convert_to(d.body, 'UTF8')), 'hex')
      from known d join reopened r on r.id = d.known_id where d.body is not null),
    ${grouped(sql`select fingerprint, known_id as id, died_at, worker_version, synthetic from known`)}
    insert into ops.job_death (queue, deaths) select queue, -count(*) from known group by queue`;
}
