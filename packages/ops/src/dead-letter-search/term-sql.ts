import type { Actor } from '../audit/index.ts';
import { type FilterOp, type FilterTerm, type FilterValue, partsOf, durationSeconds } from '../filters/index.ts';
import { join, raw, type Sql, sql } from '../postgres/index.ts';
import type { QueueRegistry } from '../queues/index.ts';

/** What a filter's words mean here: the queues there are, and who `me` is. */
export interface Selecting {
  readonly registry: QueueRegistry;
  readonly actor: Actor;
}

const columns = {
  kind: raw('d.kind'),
  error: raw('d.error_type'),
  host: raw('d.worker_host'),
  ticket: raw('d.ticket'),
  assignee: raw('d.assignee'),
  correlation: raw('d.correlation_id'),
} as const;

const numbers = {
  attempts: raw('d.attempts'),
  retries: raw('d.generation'),
  size: raw('d.payload_bytes'),
} as const;

/** One term as a condition over `ops.dead_letter_queue d`, true or not. `state` is decided over all terms together. */
export function termSql(term: FilterTerm, selecting: Selecting): Sql {
  const condition = positive(term, selecting);
  return term.negated ? sql`(${condition}) is not true` : sql`(${condition})`;
}

function positive(term: FilterTerm, selecting: Selecting): Sql {
  const { field, op, values } = term;
  switch (field) {
    case 'kind':
    case 'error':
    case 'host':
    case 'ticket':
    case 'correlation':
    case 'assignee':
      return ofText(columns[field], term, selecting);
    case 'message':
      return ofText(raw('d.error_message'), term, selecting);
    case 'payload':
      return ofPayload(term, selecting);
    case 'attempts':
    case 'retries':
    case 'size':
      return anyOf(values, (value) => sql`${numbers[field]} ${operator(op)} ${textOf(value)}::int`);
    case 'failed':
      return anyOf(values, (value) => sql`d.failed_at ${operator(op)} ${textOf(value)}::timestamptz`);
    case 'captured':
      return anyOf(values, (value) => sql`d.created_at ${operator(op)} ${textOf(value)}::timestamptz`);
    case 'age':
      return anyOf(
        values,
        (value) => sql`now() - make_interval(secs => ${durationSeconds(textOf(value))}) ${operator(op)} d.failed_at`,
      );
    case 'version':
      return anyOf(values, (value) => ofVersion(op, value));
    case 'note':
      return anyOf(values, ({ is }) => (is === 'present' ? sql`d.notes_count > 0` : sql`d.notes_count = 0`));
    default:
      return ofPlace(term, selecting);
  }
}

/** Where it died, and what it belongs to. */
function ofPlace({ field, values }: FilterTerm, { registry }: Selecting): Sql {
  const texts = values.map(textOf);
  switch (field) {
    case 'queue':
      return anyOf(values, (value) =>
        ofSource('queue', value, sql`d.queue_name = any(${queueNames([value], registry)}::text[])`),
      );
    case 'stream':
      return anyOf(values, (value) =>
        ofSource('stream', value, sql`d.source = 'stream' and d.queue_name = ${textOf(value)}`),
      );
    case 'source':
      return sql`d.source = any(${texts}::text[])`;
    case 'cause':
      return sql`d.cause = any(${texts}::text[])`;
    case 'fp':
      return anyOf(values, (value) => ofFingerprint(textOf(value)));
    case 'id':
      return anyOf(values, (value) => ofId(textOf(value)));
    case 'redrive':
      return sql`d.id in (select i.letter_id from ops.redrive_item i where i.redrive_id = any(${texts}::uuid[]))`;
    case 'job':
      return ofJobs(texts, registry);
    case 'group':
    case 'event':
      return sql`d.source = 'stream'`;
    default:
      return sql`false`;
  }
}

/** A whole id, or the start of one: of 8 characters or more it is a narrow range of the primary key. */
function ofId(start: string): Sql {
  const [least, most] = ['0', 'f'].map((digit) => start + noId.slice(start.length).replaceAll('0', digit));
  return sql`d.id between ${least}::uuid and ${most}::uuid`;
}

const noId = '00000000-0000-0000-0000-000000000000';

function ofSource(source: 'queue' | 'stream', value: FilterValue, named: Sql): Sql {
  if (value.is === 'present') return sql`d.source = ${source}`;
  return value.is === 'absent' ? sql`d.source <> ${source}` : named;
}

/** Canonical names of what a filter calls queues; an unknown name may be a stream's. */
export function queueNames(values: readonly FilterValue[], registry: QueueRegistry): string[] {
  return values.map(textOf).map((name) => registry.resolve(name) ?? (isStream(name) ? `${name}.dlq` : name));
}

/** The streams of the plane, by the name without `.dlq`. */
function isStream(name: string): boolean {
  return name === 'identity';
}

/** Jobs by the key of any run of theirs: both look-ups have an index, the letter's own `job_id` has none. */
function ofJobs(jobs: readonly string[], registry: QueueRegistry): Sql {
  return sql`d.id = any(array(
    select l.id from ops.dead_letter_queue l
    where l.source = 'queue' and l.queue_name = any(${registry.names}::text[]) and l.root_key = any(${jobs}::text[])
    union
    select r.dlq_id from ops.job_run r where r.run_key = any(${jobs}::text[]) and r.dlq_id is not null))`;
}

/** True for the start of a fingerprint: 8 to 15 hex digits, with the classifier's version or without. */
export function isFingerprintStart(text: string): boolean {
  return /^(v\d+_)?[0-9a-f]{8,15}$/.test(text);
}

function ofFingerprint(text: string): Sql {
  if (!isFingerprintStart(text)) return sql`d.fingerprint = ${text}`;
  return sql`d.fingerprint = any(array(${fingerprintsFrom(text)}))`;
}

/** The fingerprints that begin so. */
export function fingerprintsFrom(start: string): Sql {
  return sql`select g.fingerprint from ops.dead_letter_group g where g.fingerprint ~ ${`^(v[0-9]+_)?${start}`}`;
}

function ofText(column: Sql, { op, values }: FilterTerm, { actor }: Selecting): Sql {
  return anyOf(values, (value) => {
    if (value.is === 'present') return sql`${column} is not null`;
    if (value.is === 'absent') return sql`${column} is null`;
    if (value.is === 'me') return sql`${column} in (${actor.id}, ${actor.name})`;
    return op === '~' ? sql`${column} ilike ${containing(value.text)}` : sql`${column} = ${value.text}`;
  });
}

/**
 * A value of the payload as text, or as what it is when it is compared by order. An object or a list is no value: its text would hold
 * all that is below it, masked or not.
 */
function ofPayload({ op, path = '', values, underMask = false }: FilterTerm, selecting: Selecting): Sql {
  const steps = path.split('.');
  const text = sql`(d.payload #>> ${steps}::text[])`;
  const type = sql`jsonb_typeof(d.payload #> ${steps}::text[])`;
  const value = underMask ? sql`(case when ${type} <> 'string' or not ${mayHoldMasked(text)} then ${text} end)` : text;
  if (op === '=' || op === '~') {
    return anyOf(values, (wanted) => {
      // Whether there is a value is no secret.
      if (wanted.is === 'present') return sql`${text} is not null`;
      if (wanted.is === 'absent') return sql`${text} is null`;
      const compared = ofText(value, { negated: false, field: 'payload', op, values: [wanted] }, selecting);
      return wanted.is === 'text' ? sql`(${compared} and ${type} not in ('object', 'array'))` : compared;
    });
  }
  return anyOf(values, (bound) => {
    if (/^-?\d{1,30}(\.\d{1,30})?$/.test(textOf(bound))) {
      return sql`case when ${type} = 'number' then ${value}::numeric ${operator(op)} ${textOf(bound)}::numeric end`;
    }
    return sql`case when ${type} = 'string' then ${value} collate "C" ${operator(op)} ${textOf(bound)} end`;
  });
}

/** True of every text that `maskText` changes, and of some more; never of a UUID alone. */
function mayHoldMasked(text: Sql): Sql {
  return sql`(${text} ~ ${'@|%40|(\\+|%2[bB])[0-9]|([0-9][ ().-]*){10}'} and ${text} !~* ${'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'})`;
}

/** The order of `compareVersions`, in SQL. */
function ofVersion(op: FilterOp, value: FilterValue): Sql {
  if (value.is === 'present') return sql`d.worker_version is not null`;
  if (value.is === 'absent') return sql`d.worker_version is null`;
  if (op === '=') return sql`d.worker_version = ${textOf(value)}`;
  const { numbers: bounds, rest } = partsOf(textOf(value));
  return sql`d.worker_version is not null and (${versionNumbers}, ${versionRest}) ${operator(op)} (${bounds}::int[], ${rest})`;
}

const versionNumbers = sql`
  case when d.worker_version ~ '^v?[0-9]' then array[
    substring(d.worker_version from '^v?([0-9]{1,9})')::int,
    coalesce(substring(d.worker_version from '^v?[0-9]{1,9}[.]([0-9]{1,9})')::int, 0),
    coalesce(substring(d.worker_version from '^v?[0-9]{1,9}[.][0-9]{1,9}[.]([0-9]{1,9})')::int, 0)]
  else array[-1, -1, -1] end`;

const versionRest = sql`
  case when d.worker_version ~ '^v?[0-9]' then coalesce(substring(d.worker_version from '^v?[0-9]+(?:[.][0-9]+)*-([^+]*)'), '~')
  else d.worker_version end collate "C"`;

function anyOf(values: readonly FilterValue[], condition: (value: FilterValue) => Sql): Sql {
  return join(values.map(condition), ' or ');
}

function operator(op: FilterOp): Sql {
  return raw(op === '~' ? '=' : op);
}

function textOf(value: FilterValue): string {
  return value.is === 'text' ? value.text : '';
}

function containing(text: string): string {
  return `%${text.replace(/[\\%_]/g, '\\$&')}%`;
}
