import type { Cursors } from '../dead-letter-search/index.ts';
import { join, prepared, type Queryable, raw, type Sql, sql } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import type { RedriveDetail, RedriveItem, RedriveProgress, RedriveState, RedriveSummary } from './contract.ts';
import { blocking, type CanaryRecord, type RateRecord } from './queries.ts';

interface Row extends Omit<RedriveDetail, 'progress' | 'rate' | 'eta' | 'canary' | keyof PlanParts> {
  progress: Partial<RedriveProgress>;
  rate: Partial<RateRecord>;
  canary: CanaryRecord | null;
  plan: Partial<PlanParts>;
  running_s: number | null;
}

/** What the plan holds, as one column. */
type PlanParts = Pick<
  RedriveDetail,
  | 'left_out'
  | 'by_queue'
  | 'by_kind'
  | 'by_error'
  | 'by_age'
  | 'by_effect'
  | 'touches'
  | 'estimate'
  | 'warnings'
  | 'samples'
  | 'approval'
>;

const iso = (column: string): Sql => sql`to_char(${raw(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
const person = (column: string): Sql =>
  sql`case when ${raw(column)} is not null then jsonb_build_object('id', ${raw(column)}, 'name', ${raw(`${column}_name`)}) end`;

const times = ['created_at', 'started_at', 'undo_until', 'ended_at', 'acknowledged_at'];
const people = ['created_by', 'started_by', 'acknowledged_by'];

const summaryColumns = join([
  sql`r.id, r.name, r.action, r.state, r.filter, r.options, r.included, r.destinations, r.reason, r.stopped_because, r.progress, r.rate,
      r.canary, r.new_fingerprints, r.version, extract(epoch from clock_timestamp() - r.undo_until)::float8 as running_s`,
  ...times.map((name) => sql`${iso(`r.${name}`)} as ${raw(name)}`),
  ...people.map((name) => sql`${person(`r.${name}`)} as ${raw(name)}`),
  sql`case when r.state = 'waiting' then (
        select jsonb_build_object('id', b.id, 'name', b.name, 'state', b.state) from (${blocking} order by o.started_at limit 1) b)
      end as waiting_behind`,
]);

const detailColumns = join([
  summaryColumns,
  sql`r.plan, r.plan_hash, r.matched`,
  ...['frozen_at', 'expires_at', 'approved_at'].map((name) => sql`${iso(`r.${name}`)} as ${raw(name)}`),
  sql`${person('r.approved_by')} as approved_by`,
]);

/** One redrive with its plan. Throws refusal `not_found`. */
export async function readRedrive(db: Queryable, id: string): Promise<RedriveDetail> {
  const { rows } = await db.query<Row>(sql`select ${detailColumns} from ops.redrive r where r.id = ${id}`);
  const row = rows[0];
  if (!row) throw refuse('not_found');
  const { plan, ...rest } = row;
  return { ...partsOf(plan), ...summaryOf(rest), ...detailsOf(row) };
}

function detailsOf(row: Row) {
  const { options, plan_hash, frozen_at, expires_at, matched, approved_by, approved_at } = row;
  return { options, plan_hash, frozen_at, expires_at, matched, approved_by, approved_at };
}

function partsOf(plan: Partial<PlanParts>): PlanParts {
  return {
    left_out: plan.left_out ?? {},
    by_queue: plan.by_queue ?? {},
    by_kind: plan.by_kind ?? {},
    by_error: plan.by_error ?? {},
    by_age: plan.by_age ?? {},
    by_effect: plan.by_effect ?? {},
    touches: plan.touches ?? {},
    estimate: plan.estimate ?? null,
    warnings: plan.warnings ?? [],
    samples: plan.samples ?? [],
    approval: plan.approval ?? { needed: false, because: null },
  };
}

function summaryOf(row: Omit<Row, 'plan'>): RedriveSummary {
  const { progress, rate, canary, options, running_s, ...rest } = row;
  const counted = { ...noProgress, ...progress };
  return {
    ...rest,
    progress: counted,
    rate: {
      asked: rate.asked ?? options.rate ?? 'auto',
      effective: rate.effective ?? null,
      limited_by: rate.limited_by ?? null,
    },
    eta: etaOf(row.state, counted, running_s),
    canary: canary && {
      picked: canary.ords.length,
      verdict: canary.verdict,
      why: canary.why,
      versions: [...canary.versions],
    },
  };
}

const noProgress: RedriveProgress = {
  total: 0,
  planned: 0,
  enqueued: 0,
  succeeded: 0,
  failed: 0,
  skipped: 0,
  cancelled: 0,
};

/** From the pace so far. Pure but for the clock. */
function etaOf(state: RedriveState, progress: RedriveProgress, runningS: number | null): RedriveSummary['eta'] {
  if (state !== 'canary' && state !== 'running') return null;
  const decided = progress.succeeded + progress.failed + progress.skipped;
  if (decided === 0 || runningS === null || runningS <= 0) return { at: null, basis: 'nothing has an outcome yet' };
  const perSecond = decided / runningS;
  const at = new Date(Date.now() + ((progress.planned + progress.enqueued) / perSecond) * 1_000);
  return { at: at.toISOString(), basis: `${perSecond.toFixed(1)} items/s since the start` };
}

export interface ListOptions {
  readonly states?: readonly RedriveState[] | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
}

/** Newest first. Throws refusal `cursor_invalid`. */
export async function listRedrives(db: Queryable, cursors: Cursors, { states, cursor, limit }: ListOptions) {
  const scope = { sort: '-created_at', filter: `redrives ${states?.join(',') ?? ''}` };
  const after = cursor === undefined ? undefined : (await cursors.read(cursor, scope)).position[0];
  const { rows } = await db.query<Omit<Row, 'plan'>>(sql`
    select ${summaryColumns}
    from ops.redrive r
    where ${states ? sql`r.state = any (${states}::text[])` : sql`true`}
      and ${after === undefined ? sql`true` : sql`(r.created_at, r.id) < (select c.created_at, c.id from ops.redrive c where c.id = ${after}::uuid)`}
    order by r.created_at desc, r.id desc limit ${limit + 1}`);
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  const next_cursor = last ? await cursors.sign({ position: [last.id], towards: 'next', begun: '' }, scope) : null;
  return { redrives: rows.slice(0, limit).map(summaryOf), pagination: { limit, next_cursor } };
}

export interface ItemsOptions {
  readonly id: string;
  readonly outcome?: RedriveItem['outcome'] | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
}

/** In the order of the plan. Throws refusal `not_found` or `cursor_invalid`. */
export async function listItems(db: Queryable, cursors: Cursors, { id, outcome, cursor, limit }: ItemsOptions) {
  const { rows: found } = await db.query(sql`select from ops.redrive where id = ${id}`);
  if (found.length === 0) throw refuse('not_found');
  const scope = { sort: 'ord', filter: `redrive ${id} ${outcome ?? ''}` };
  const after = cursor === undefined ? 0 : (await cursors.read(cursor, scope)).position[0];
  const { rows } = await db.query<RedriveItem>(
    prepared(
      'redrive_items',
      sql`
        select i.ord, i.letter_id, i.is_canary, i.outcome, i.why, i.new_fingerprint, ${iso('i.enqueued_at')} as enqueued_at,
               ${iso('i.decided_at')} as decided_at, 'dlq-' || i.letter_id || '-r' || nullif(i.generation, 0) as job_id
        from ops.redrive_item i
        where i.redrive_id = ${id} and i.ord > ${after}::bigint
          ${outcome === undefined ? sql`` : sql`and i.outcome = ${outcome}`}
        order by i.ord limit ${limit + 1}`,
    ),
  );
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  const next_cursor = last ? await cursors.sign({ position: [last.ord], towards: 'next', begun: '' }, scope) : null;
  return { items: rows.slice(0, limit), pagination: { limit, next_cursor } };
}
