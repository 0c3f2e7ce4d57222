import { type Actor, audit } from '../audit/index.ts';
import { type FilterReader, matching, readFilter } from '../dead-letter-search/index.ts';
import { absolute, type Filter, filterOf, parseFilter, printFilter } from '../filters/index.ts';
import { currentContext } from '../logging/index.ts';
import { type Queryable, type Sql, sql, type Tx } from '../postgres/index.ts';
import type { QueueRegistry } from '../queues/index.ts';
import { refuse } from '../refusals/index.ts';
import { type PlanRequest, type RedriveAction, type RedriveOptions, redriveOptions } from './contract.ts';
import { estimateOf, readThroughput } from './estimate.ts';
import { type Frozen, freeze, mostItems, planHash, readSamples } from './freeze.ts';

/** What a host may say of redrives. */
export interface RedriveHost {
  /** Time between a start and the first item, in which an abort touches nothing, in ms. Default 10,000. */
  readonly undoMs?: number;
  /** Larger plans need the approval of a second person. Default: none does for its size. */
  readonly approvalAbove?: number;
  /**
   * Counts what the letters of a plan affect, such as customers or cents: `select … from ops.redrive_item i join ops.dead_letter_queue d
   * on d.id = i.letter_id where i.redrive_id = $1`. Called in the transaction of the plan. Default: nothing is counted.
   */
  readonly touches?: (db: Queryable, redriveId: string) => Promise<Record<string, number>>;
}

export interface RedriveDeps {
  readonly registry: QueueRegistry;
  readonly host: RedriveHost;
}

/** How long a plan may be started, in minutes. */
const plannedForMinutes = 30;
/** Plans up to this size are made at once; larger ones by the engine. */
export const plannedAtOnce = 10_000;

/**
 * Plans a redrive: freezes the set of letters, and changes none. Above 10,000 letters the answer's state is `planning`, and the engine
 * goes on. Throws refusal `filter_invalid`, `missing_permission`, `filter_too_wide`, `filter_too_slow` or `validation_failed`.
 */
export async function planRedrive(
  tx: Tx,
  request: PlanRequest,
  { actor, registry, host, reveal }: RedriveDeps & FilterReader & { actor: Actor },
): Promise<{ id: string; state: 'planned' | 'planning' }> {
  const { name, action, ids } = request;
  const options = settle(request, registry);
  const selection = select(request, actor, registry, reveal);
  const filter = selection.filter ? printFilter(selection.filter) : null;
  const { rows } = await tx.query<{ id: string }>(sql`
    insert into ops.redrive (name, action, state, filter, options, created_by, created_by_name, correlation_id)
    values (${name}, ${action}, 'planning', ${filter}, ${JSON.stringify(options)}, ${actor.id}, ${actor.name},
            ${currentContext()?.correlationId ?? 'none'})
    returning id`);
  const id = rows[0]?.id ?? '';
  const isSmall = ids !== undefined || (await countUpTo(tx, selection.condition, plannedAtOnce + 1)) <= plannedAtOnce;
  // The engine goes on from the text alone, and would compare what is masked for the asker.
  if (!isSmall && selection.filter?.terms.some(({ underMask }) => underMask))
    throw refuse('missing_permission', { permission: 'dlq.reveal', field: 'payload' });
  const details = { action, ...(filter === null ? { ids: ids?.length } : { filter }) };
  await audit(tx, { actor, action: 'redrive.planned', targetType: 'redrive', targetId: id, details });
  if (!isSmall) return { id, state: 'planning' };
  await finishPlan(tx, {
    id,
    action,
    options,
    condition: selection.condition,
    asked: new Set(ids).size,
    registry,
    host,
  });
  return { id, state: 'planned' };
}

/** Goes on with a plan that was too large for its request. False when it was aborted meanwhile. */
export async function resumePlan(tx: Tx, id: string, { registry, host }: RedriveDeps): Promise<boolean> {
  const { rows } = await tx.query<{ action: RedriveAction; options: RedriveOptions; filter: string; actor: Actor }>(sql`
    select action, options, filter, jsonb_build_object('id', created_by, 'name', created_by_name, 'via', 'system') as actor
    from ops.redrive where id = ${id} and state = 'planning'`);
  const plan = rows[0];
  if (!plan) return false;
  // Canonical, and absolute since it was asked: who and when are in the text.
  const condition = matching(parseFilter(plan.filter), { registry, actor: plan.actor });
  return finishPlan(tx, { ...plan, id, condition, asked: 0, registry, host });
}

interface Planning extends RedriveDeps {
  readonly id: string;
  readonly action: RedriveAction;
  readonly options: RedriveOptions;
  readonly condition: Sql;
  /** Letters named by their ids. */
  readonly asked: number;
}

async function finishPlan(tx: Tx, planning: Planning): Promise<boolean> {
  const { id, action, options, registry, host, asked } = planning;
  const frozen = await freeze(tx, { ...planning, redriveId: id });
  const destinations = destinationsOf(planning, frozen);
  const { fingerprints, matched, included, ...counted } = frozen;
  const absent = Math.max(0, asked - matched);
  const plan = {
    ...counted,
    left_out: { ...frozen.left_out, ...(absent > 0 && { not_found: absent }) },
    samples: await readSamples(tx, id, included),
    touches: (await host.touches?.(tx, id)) ?? {},
    estimate: estimateOf(
      { action, included, rate: options.rate ?? 'auto' },
      await readThroughput(tx, destinations),
      new Date(),
    ),
    warnings: warningsOf(planning, frozen, registry),
    approval: approvalOf(frozen, host),
  };
  const progress = { total: included, planned: included };
  const { rowCount } = await tx.query(sql`
    update ops.redrive
    set state = 'planned', version = version + 1, plan = ${JSON.stringify(plan)}::jsonb, matched = ${matched}, included = ${included},
        plan_hash = ${await planHash(tx, { redriveId: id, action, options })}, frozen_at = clock_timestamp(),
        expires_at = clock_timestamp() + ${plannedForMinutes} * interval '1 minute', destinations = ${destinations}::text[],
        fingerprints = ${fingerprints}::text[], progress = ${JSON.stringify(progress)}::jsonb,
        rate = ${JSON.stringify({ asked: options.rate, effective: null, limited_by: null, share: 1, governed_at: 0, taken: 0, last: 0 })}::jsonb
    where id = ${id} and state = 'planning'`);
  return rowCount === 1;
}

function destinationsOf({ action, options }: Planning, { by_queue }: Frozen): string[] {
  return action === 'retry' && options.target_queue !== null ? [options.target_queue] : Object.keys(by_queue).sort();
}

function warningsOf(
  { options }: Planning,
  { included, left_out, by_effect }: Frozen,
  registry: QueueRegistry,
): string[] {
  const unsafe = by_effect.unsafe ?? 0;
  return [
    ...(included === 0 ? ['nothing is left to do'] : []),
    ...(left_out.over_limit ? [`only the first ${mostItems} are included`] : []),
    ...(unsafe > 0 ? [`${unsafe} are of kinds whose repeat does harm where the first one had its effect`] : []),
    ...(left_out.past_safe_window ? [`${left_out.past_safe_window} are past the time in which a repeat is safe`] : []),
    ...(options.target_queue !== null
      ? [`sent to ${registry.resolve(options.target_queue)} in place of their own queues`]
      : []),
  ];
}

function approvalOf({ included, by_effect }: Frozen, { approvalAbove = Number.POSITIVE_INFINITY }: RedriveHost) {
  if ((by_effect.unsafe ?? 0) > 0) return { needed: true, because: 'unsafe' };
  return included > approvalAbove ? { needed: true, because: 'size' } : { needed: false, because: null };
}

/** The options as they hold: the target by its own name, no canary for what runs no job. */
function settle({ action, options }: PlanRequest, registry: QueueRegistry): RedriveOptions {
  const { rate = action === 'retry' ? 25 : 'auto', canary, target_queue, ...rest } = redriveOptions.parse(options);
  if (action !== 'retry') return { ...rest, rate, canary: null, target_queue: null };
  if (target_queue === null) return { ...rest, rate, canary, target_queue };
  const target = registry.resolve(target_queue);
  if (target !== undefined) return { ...rest, rate, canary, target_queue: target };
  const message = `no such queue; there are ${registry.names.join(', ')}`;
  throw refuse('validation_failed', { faults: [{ at: 'body.options.target_queue', message }] });
}

interface Selected {
  readonly filter: Filter | undefined;
  readonly condition: Sql;
}

function select(
  { filter: text, ids }: PlanRequest,
  actor: Actor,
  registry: QueueRegistry,
  reveal: FilterReader['reveal'],
): Selected {
  if (ids) return { filter: undefined, condition: sql`d.id = any (${ids}::uuid[])` };
  const filter = settled(readFilter({ q: text }, registry, { reveal }), actor);
  const isNarrow = filter.terms.some(
    ({ negated, field, values }) => !negated && narrowing.has(field) && values.every(({ is }) => is === 'text'),
  );
  if (!isNarrow) throw refuse('filter_too_wide', { needs_one_of: [...narrowing] });
  return { filter, condition: matching(filter, { registry, actor }) };
}

/** A filter names at least one of these, so that nobody retries everything by a slip. */
const narrowing: ReadonlySet<string> = new Set(['queue', 'stream', 'fp', 'id']);

/** The filter with its words settled: who `me` is and when now is must not change until it is started. */
function settled(filter: Filter, actor: Actor): Filter {
  const terms = filter.terms.map((term) => ({
    ...term,
    values: term.values.map((value) => (value.is === 'me' ? { is: 'text' as const, text: actor.id } : value)),
  }));
  return absolute(filterOf(terms), new Date());
}

/** Longest look for the letters of a filter, in ms: as for a list. */
const countWithinMs = 2_000;

async function countUpTo(tx: Tx, condition: Sql, limit: number): Promise<number> {
  const { rows: settings } = await tx.query<{ timeout: string }>(sql`
    select current_setting('statement_timeout') as timeout, set_config('statement_timeout', ${`${countWithinMs}ms`}, true)`);
  try {
    const { rows } = await tx.query<{ letters: number }>(sql`
      select count(*)::int as letters from (select from ops.dead_letter_queue d where ${condition} limit ${limit}) some_letters`);
    await tx.query(sql`select set_config('statement_timeout', ${settings[0]?.timeout ?? '0'}, true)`);
    return rows[0]?.letters ?? 0;
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== '57014') throw error;
    throw refuse('filter_too_slow', { limit_ms: countWithinMs, hint: 'name a queue or fp, state:open, or failed:>=…' });
  }
}
