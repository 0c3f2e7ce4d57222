import { type Database, sql, type Tx } from '../postgres/index.ts';
import { allowance, governor, type GovernorLimits, type Grant } from './governor.ts';
import type { RunFacts } from './item-queries.ts';
import type { CanaryRecord, Redrive } from './queries.ts';
import { failureRatio, stageIsPassed, stageOf, verdictWindow } from './stop-rule.ts';

export interface PaceDeps {
  readonly db: Database;
  readonly limits: GovernorLimits;
  /** Most items of one transaction. */
  readonly batch: number;
}

/** What may go out now, by stage, window and rate. */
export interface Pace {
  /** Items that may go out now. */
  readonly count: number;
  readonly dueAfter: (taken: number) => Date;
  readonly rate: Omit<Redrive['rate'], 'taken' | 'last' | 'asked'>;
  /** The ramp, when it has gone on a stage. */
  readonly canary: CanaryRecord | undefined;
}

/** The least of what the stage, the window and the rate allow. */
export async function pace(tx: Tx, redrive: Redrive, facts: RunFacts, deps: PaceDeps): Promise<Pace> {
  const now = redrive.now.getTime();
  const grant = await govern(tx, redrive, facts, deps);
  const { canary, room } = climb(redrive, facts);
  const window = Math.min(deps.batch, deps.limits.window - facts.backlog);
  const allowed =
    grant.effective === null
      ? { count: deps.batch, dueAfter: () => now }
      : allowance(redrive.due?.getTime() ?? null, now, grant.effective);
  const limited_by = room <= 0 ? 'stage' : window <= 0 ? 'window' : grant.limited_by;
  return {
    count: Math.max(0, Math.min(room, window, allowed.count)),
    dueAfter: (taken) => new Date(allowed.dueAfter(taken)),
    rate: { ...grant, limited_by },
    canary,
  };
}

const governEveryMs = 1_000;

/** Asks the governor once a second; in between its last word holds. */
async function govern(
  tx: Tx,
  redrive: Redrive,
  facts: RunFacts,
  deps: PaceDeps,
): Promise<Grant & { governed_at: number }> {
  const { asked, share, effective, governed_at } = redrive.rate;
  const limited_by = redrive.rate.limited_by === 'stage' ? null : redrive.rate.limited_by;
  const now = redrive.now.getTime();
  if (now - governed_at < governEveryMs) return { share, effective, limited_by, governed_at };
  const grant = governor(
    asked,
    {
      share,
      backlog: facts.backlog,
      failureRatio: failureRatio(facts.verdicts.map(({ outcome }) => outcome)),
      poolWaiting: deps.db.connections.waiting,
      liveWaitMs: redrive.action === 'retry' ? await readLiveWait(tx, redrive.destinations) : null,
    },
    deps.limits,
  );
  return { ...grant, governed_at: now };
}

/** How far the ramp lets it go; and the ramp itself, when its present stage has shown enough. */
function climb(
  { canary, options, included, rate, now }: Redrive,
  facts: RunFacts,
): { canary?: CanaryRecord; room: number } {
  if (!canary || !options.canary) return { room: Number.POSITIVE_INFINITY };
  const stage = stageOf(included ?? 0, options.canary.then, canary.stage);
  const since = Date.parse(canary.stage_at ?? '') || 0;
  const verdicts = facts.verdicts.filter(({ at }) => Date.parse(at) >= since).length;
  if (
    !stageIsPassed(stage, { taken: rate.taken, backlog: facts.backlog, verdicts: Math.min(verdicts, verdictWindow) })
  ) {
    return { room: stage.isLast ? Number.POSITIVE_INFINITY : stage.limit - rate.taken };
  }
  const next = stageOf(included ?? 0, options.canary.then, canary.stage + 1);
  return {
    canary: { ...canary, stage: canary.stage + 1, stage_at: now.toISOString() },
    room: next.isLast ? Number.POSITIVE_INFINITY : next.limit - rate.taken,
  };
}

/** Open jobs looked at for one that is no retry. */
const liveLooked = 12_000;

/**
 * Wait of the oldest ready job that is no retry, in ms. A retry shows by its key, so that behind a redrive no more runs are looked up than
 * are live; and those one by one, for a planner that knows a short outbox from its last analysis would rather read all runs in order.
 */
async function readLiveWait(tx: Tx, queues: readonly string[]): Promise<number | null> {
  const { rows } = await tx.query<{ ms: number | null }>(sql`
    select (extract(epoch from clock_timestamp() - min(r.run_at)) * 1000)::float8 as ms
    from unnest(${queues}::text[]) as q(name)
    cross join lateral (
      select run_key from ops.job_outbox where queue = q.name order by id limit ${liveLooked}) b
    cross join lateral (
      select dlq_id, started, finished, run_at from ops.job_run where run_key = b.run_key offset 0) r
    where b.run_key not like 'dlq-%' and r.dlq_id is null and r.started = r.finished and r.run_at <= clock_timestamp()`);
  return rows[0]?.ms ?? null;
}
