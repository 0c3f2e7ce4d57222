import { canonical } from '../idempotency/index.ts';
import { prepared, raw, type Sql, sql, type Tx } from '../postgres/index.ts';
import { probeKind, type QueueRegistry, sha256 } from '../queues/index.ts';
import type { RedriveAction, RedriveOptions } from './contract.ts';

/** Most items of one redrive. */
export const mostItems = 1_000_000;

export interface FreezeRequest {
  readonly redriveId: string;
  readonly action: RedriveAction;
  readonly options: RedriveOptions;
  /** A condition on `ops.dead_letter_queue d`. */
  readonly condition: Sql;
  readonly registry: QueueRegistry;
}

/** What one reading of the letters gives: how many, of which sort, and the first item of each. */
interface Tally {
  what: 'left_out' | 'kind' | 'error' | 'age' | 'total';
  name: string;
  queue: string | null;
  effect: string | null;
  letters: number;
  first_ord: number | null;
}

type Counts = Record<string, number>;

/** What was frozen, counted. */
export interface Frozen {
  readonly matched: number;
  readonly included: number;
  readonly left_out: Counts;
  readonly by_queue: Counts;
  readonly by_kind: Counts;
  readonly by_error: Counts;
  readonly by_age: Counts;
  readonly by_effect: Counts;
  readonly fingerprints: readonly string[];
  /** The first item of each queue and kind, for the canary. */
  readonly strata: readonly number[];
}

/** Errors that are counted by name; the rest is `other`. */
const mostErrors = 100;

/** Writes the items of a plan: every letter that the condition selects now, with its version, in one statement. */
export async function freeze(tx: Tx, request: FreezeRequest): Promise<Frozen> {
  const { rows } = await tx.query<Tally>(freezeStatement(request));
  const of = (what: Tally['what']) => rows.filter((row) => row.what === what);
  const kinds = of('kind');
  const errors = of('error').sort((a, b) => b.letters - a.letters);
  const included = sum(kinds);
  const left = of('left_out');
  const taken = sum(of('total'));
  const over = taken - included;
  return {
    matched: taken + sum(left),
    included,
    left_out: { ...counts(left), ...(over > 0 && { over_limit: over }) },
    by_queue: counts(kinds, ({ queue }) => queue ?? ''),
    by_kind: counts(kinds),
    by_error: counts(errors, ({ name }, at) => (at < mostErrors ? name : 'other')),
    by_age: counts(of('age')),
    by_effect: counts(kinds, ({ effect }) => effect ?? 'unknown'),
    fingerprints: errors.map(({ name }) => name),
    strata: kinds.flatMap(({ first_ord }) => first_ord ?? []),
  };
}

function sum(rows: readonly Tally[]): number {
  return rows.reduce((total, { letters }) => total + letters, 0);
}

function counts(rows: readonly Tally[], nameOf: (row: Tally, at: number) => string = ({ name }) => name): Counts {
  const result: Counts = {};
  for (const [at, row] of rows.entries()) result[nameOf(row, at)] = (result[nameOf(row, at)] ?? 0) + row.letters;
  return result;
}

function freezeStatement(request: FreezeRequest): Sql {
  const { redriveId, condition, options, registry } = request;
  const order = raw(options.order === 'newest' ? 'desc' : 'asc');
  return sql`
    with known as materialized (
      select * from json_to_recordset(${JSON.stringify(kindsOf(registry))}::json)
        as k(queue text, kind text, effect text, safe_ms bigint)),
    candidate as materialized (
      select d.id, d.version, d.failed_at, d.queue_name, d.kind, d.fingerprint, k.effect, ${whyNot(request)} as why
      from ops.dead_letter_queue d
      left join known k on k.queue = d.queue_name and k.kind = d.kind
      where ${condition} and not d.synthetic),
    ranked as materialized (
      select *, row_number() over (order by failed_at ${order}, id ${order}) as ord
      from candidate where why is null order by ord limit ${mostItems}),
    frozen as (
      insert into ops.redrive_item (redrive_id, ord, letter_id, letter_version)
      select ${redriveId}, ord, id, version from ranked)
    select 'kind' as what, kind as name, queue_name as queue, effect, count(*) as letters, min(ord) as first_ord
    from ranked group by kind, queue_name, effect
    union all select 'error', fingerprint, null, null, count(*), null from ranked group by fingerprint
    union all select 'age', ${ageOf}, null, null, count(*), null from ranked group by 2
    union all select 'left_out', why, null, null, count(*), null from candidate where why is not null group by why
    union all select 'total', '', null, null, count(*), null from candidate where why is null`;
}

const ageOf = sql`
  case when failed_at > now() - interval '1 hour' then 'under_1h' when failed_at > now() - interval '1 day' then 'under_1d'
       when failed_at > now() - interval '7 days' then 'under_7d' else 'over_7d' end`;

/** Why a letter that matches is not taken; null when it is. */
function whyNot({ action, options, registry }: FreezeRequest): Sql {
  if (action === 'restore') {
    return sql`case when not d.resolved then 'not_resolved' when d.resolution ->> 'how' = 'retried' then 'done_by_run' end`;
  }
  const closed = sql`when d.state = 'retrying' then 'already_retrying' when d.resolved then 'already_resolved'`;
  if (action !== 'retry') return sql`case ${closed} end`;
  const target = options.target_queue === null ? undefined : registry.get(options.target_queue);
  const accepted = target ? sql`d.kind = any (${Object.keys(target.kinds)}::text[])` : sql`k.kind is not null`;
  return sql`
    case ${closed}
      when d.source <> 'queue' or not ${accepted} then 'target_refuses_kind'
      when k.effect = 'unsafe' and not ${options.include_unsafe}::boolean then 'unsafe'
      when d.first_failed_at < clock_timestamp() - k.safe_ms * interval '1 ms' then 'past_safe_window'
    end`;
}

function kindsOf(registry: QueueRegistry) {
  return registry.definitions.flatMap(({ name, kinds }) =>
    Object.entries(kinds)
      .filter(([kind]) => kind !== probeKind)
      .map(([kind, { sideEffect, safeForMs }]) => ({ queue: name, kind, effect: sideEffect, safe_ms: safeForMs })),
  );
}

/** Items hashed at a time, so that a large plan needs no large text. */
const hashBlock = 10_000;

/** Says exactly what a start agrees to: the letters with their versions, in order, the action and the options. */
export async function planHash(
  tx: Tx,
  plan: { redriveId: string; action: RedriveAction; options: RedriveOptions },
): Promise<string> {
  const { redriveId, action, options } = plan;
  const { rows } = await tx.query<{ hash: string }>(
    prepared(
      'redrive_plan_hash',
      sql`
        select encode(sha256(convert_to(coalesce(string_agg(block, '' order by at), ''), 'UTF8')), 'hex') as hash
        from (
          select (ord - 1) / ${hashBlock}::bigint as at,
                 encode(sha256(convert_to(string_agg(letter_id || ':' || letter_version, ',' order by ord), 'UTF8')), 'hex') as block
          from ops.redrive_item where redrive_id = ${redriveId} group by 1) blocks`,
    ),
  );
  return `sha256:${sha256(`${rows[0]?.hash} ${action} ${canonical(options)}`)}`;
}

export interface Sample {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly error_type: string;
  readonly error_message: string;
  readonly fingerprint: string;
  readonly failed_at: string;
}

/** Five items, evenly from the first to the last. */
export async function readSamples(tx: Tx, redriveId: string, included: number): Promise<Sample[]> {
  const ords = [...new Set([0, 1, 2, 3, 4].map((at) => 1 + Math.floor((at * Math.max(0, included - 1)) / 4)))];
  const { rows } = await tx.query<Sample>(sql`
    select d.id, d.queue_name as queue, d.kind, d.error_type, left(d.error_message, 300) as error_message, d.fingerprint,
           to_char(d.failed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as failed_at
    from ops.redrive_item i join ops.dead_letter_queue d on d.id = i.letter_id
    where i.redrive_id = ${redriveId} and i.ord = any (${ords}::bigint[])
    order by i.ord`);
  return rows;
}
