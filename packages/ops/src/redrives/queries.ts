import { empty, prepared, type Queryable, raw, type Sql, sql, type Tx } from '../postgres/index.ts';
import type { RedriveAction, RedriveOptions, RedriveRate, RedriveState } from './contract.ts';
import type { LimitedBy } from './governor.ts';
import type { Stop } from './stop-rule.ts';

/** What the engine keeps of a canary, and of the ramp after it. */
export interface CanaryRecord {
  /** Places of its items in the plan. */
  readonly ords: readonly number[];
  readonly verdict: 'passed' | 'failed' | 'inconclusive' | null;
  readonly why: string | null;
  readonly versions: readonly string[];
  /** Groups that its letters were in. */
  readonly fingerprints: readonly string[];
  /** ISO 8601. */
  readonly deadline_at: string;
  /** Stage of the ramp; its verdicts count from `stage_at` on. */
  readonly stage: number;
  readonly stage_at: string | null;
}

export interface RateRecord {
  readonly asked: RedriveRate;
  readonly effective: number | null;
  readonly limited_by: LimitedBy | 'stage' | null;
  /** The governor's share, and when it last looked (ms since the epoch). */
  readonly share: number;
  readonly governed_at: number;
  /** Items taken so far: sent or skipped. */
  readonly taken: number;
  /** Place of the last one taken in the order of the plan; the canary is taken out of it. */
  readonly last: number;
}

/** A redrive as operations read it. */
export interface Redrive {
  readonly id: string;
  readonly name: string;
  readonly action: RedriveAction;
  readonly state: RedriveState;
  readonly filter: string | null;
  readonly options: RedriveOptions;
  readonly included: number | null;
  readonly plan_hash: string | null;
  readonly expires_at: Date | null;
  readonly destinations: readonly string[];
  readonly created_by: string;
  readonly created_by_name: string;
  readonly reason: string | null;
  readonly approved_by: string | null;
  readonly started_by: string | null;
  readonly started_by_name: string | null;
  readonly started_via: string | null;
  readonly started_at: Date | null;
  readonly undo_until: Date | null;
  readonly resumes_as: 'waiting' | 'canary' | 'running' | null;
  readonly canary: CanaryRecord | null;
  readonly judged_from: Date | null;
  readonly due: Date | null;
  readonly recall: boolean;
  readonly rate: RateRecord;
  readonly ended_at: Date | null;
  readonly acknowledged_by: string | null;
  readonly version: number;
  readonly correlation_id: string;
  /** The database's time. */
  readonly now: Date;
}

const columns = raw(
  `id, name, action, state, filter, options, included, plan_hash, expires_at, destinations, created_by, created_by_name, reason,
   approved_by, started_by, started_by_name, started_via, started_at, undo_until, resumes_as, canary, judged_from, due, recall, rate,
   ended_at, acknowledged_by, version, correlation_id, clock_timestamp() as now`,
);

/** Begun and not ended: their letters are held. */
export const liveStates = ['waiting', 'canary', 'running', 'paused', 'stopped', 'aborting'] as const;

/**
 * Reads a redrive and keeps others from changing it until the commit: every change decides on what is read here. Writing its items
 * stays possible.
 */
export async function lockRedrive(tx: Tx, id: string): Promise<Redrive | undefined> {
  const { rows } = await tx.query<Redrive>(
    prepared('redrive_lock', sql`select ${columns} from ops.redrive where id = ${id} for no key update`),
  );
  return rows[0];
}

/** Starts and admissions decide one after another: each looks at all other redrives. */
export async function lockAdmissions(tx: Tx): Promise<void> {
  await tx.query(sql`select pg_advisory_xact_lock(hashtextextended('ops.redrive', 0))`);
}

/** What a change may set; what is left out stays. */
export interface Change {
  readonly state?: RedriveState;
  readonly resumes_as?: Redrive['resumes_as'];
  readonly stopped_because?: Stop | null;
  readonly canary?: CanaryRecord;
  readonly rate?: RateRecord;
  readonly due?: Date;
  readonly judged_from?: Date;
  readonly recall?: boolean;
}

/** Sets columns of a locked redrive. A change of state is a new version. One that ends or halts it counts its items. */
export async function changeRedrive(tx: Tx, id: string, change: Change): Promise<void> {
  const { state } = change;
  const ends = state === 'done' || state === 'aborted';
  const halts = ends || state === 'paused' || state === 'stopped';
  const json = (value: unknown) => (value === undefined || value === null ? null : JSON.stringify(value));
  await tx.query(
    prepared(
      'redrive_change',
      sql`
        update ops.redrive set
          state = coalesce(${state ?? null}, state), version = version + ${state ? 1 : 0}::int,
          resumes_as = case when ${'resumes_as' in change}::boolean then ${change.resumes_as ?? null} else resumes_as end,
          stopped_because = case when ${'stopped_because' in change}::boolean then ${json(change.stopped_because)}::jsonb
                                 else stopped_because end,
          canary = coalesce(${json(change.canary)}::jsonb, canary), rate = coalesce(${json(change.rate)}::jsonb, rate),
          due = coalesce(${change.due ?? null}::timestamptz, due),
          judged_from = coalesce(${change.judged_from ?? null}::timestamptz, judged_from),
          recall = coalesce(${change.recall ?? null}::boolean, recall),
          ended_at = case when ${ends}::boolean then clock_timestamp() else ended_at end
          ${halts ? sql`, progress = ${progressOf(id)}` : empty}
        where id = ${id}`,
    ),
  );
}

/** Items by outcome, counted in their index. */
function progressOf(id: string): Sql {
  return sql`(
    select jsonb_build_object('total', coalesce(sum(items), 0)) || coalesce(jsonb_object_agg(outcome, items), '{}')
    from (select outcome, count(*) as items from ops.redrive_item where redrive_id = ${id} group by outcome) counted)`;
}

/** Counts the items of a redrive that has not ended; one that has was counted in that commit. */
export async function countProgress(db: Queryable, id: string): Promise<void> {
  await db.query(
    prepared(
      'redrive_progress',
      sql`
        with counted as materialized (select ${progressOf(id)} as progress)
        update ops.redrive r set progress = c.progress from counted c where r.id = ${id} and r.ended_at is null`,
    ),
  );
}

/**
 * Lets a waiting redrive go, unless another works on one of its destinations or waits for one longer.
 * Answers what it became; undefined while it must wait. Call {@link lockAdmissions} before.
 */
export async function admit(tx: Tx, id: string): Promise<RedriveState | undefined> {
  const { rows } = await tx.query<{ state: RedriveState }>(sql`
    update ops.redrive r
    set state = coalesce(r.resumes_as, 'running'), resumes_as = null, version = r.version + 1,
        judged_from = coalesce(r.judged_from, clock_timestamp())
    where r.id = ${id} and r.state = 'waiting' and not exists (${blocking})
    returning r.state`);
  return rows[0]?.state;
}

/** Those that redrive `r` waits for, the next to end first. */
export const blocking = sql`
  select o.id, o.name, o.state from ops.redrive o
  where o.id <> r.id and o.destinations && r.destinations
    and (o.state in ('canary', 'running') or (o.state = 'waiting' and (o.started_at, o.id) < (r.started_at, r.id)))`;

/** Redrives that the engine has work with, those begun first in front. Of those that stand still, the ones whose jobs still run. */
export async function readActive(db: Queryable): Promise<{ id: string; state: RedriveState }[]> {
  const { rows } = await db.query<{ id: string; state: RedriveState }>(
    prepared(
      'redrives_active',
      sql`
        select id, state from ops.redrive
        where state in ('waiting', 'canary', 'running', 'aborting', 'paused', 'stopped')
          and (state <> 'waiting' or undo_until <= clock_timestamp())
          and (state not in ('paused', 'stopped') or (progress ->> 'enqueued')::int > 0)
        order by started_at, id`,
    ),
  );
  return rows;
}
