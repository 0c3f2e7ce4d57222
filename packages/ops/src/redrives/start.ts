import { type Actor, audit } from '../audit/index.ts';
import { type Queryable, sql, type Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import type { RedriveAction, StartRequest } from './contract.ts';
import type { RedriveHost } from './plan.ts';
import { changeRedrive, liveStates, lockAdmissions, lockRedrive, type Redrive } from './queries.ts';

/** Share of a plan that may change between plan and start. */
const mostDrift = 0.1;
const defaultUndoMs = 10_000;

/** Of what a start does, beyond the starting itself: permission by action. */
const permissions: Readonly<Record<RedriveAction, string>> = {
  retry: 'dlq.retry',
  resolve: 'dlq.resolve',
  discard: 'dlq.discard',
  restore: 'dlq.resolve',
};

export interface StartOptions {
  readonly id: string;
  readonly ask: StartRequest;
  readonly actor: Actor;
  /** Throws a refusal when the actor lacks the permission. */
  readonly demand: (permission: string) => void;
  readonly host: RedriveHost;
}

/**
 * Starts a plan: from now on it holds its letters; letters that another redrive holds are skipped. Of two starts one wins.
 * Throws refusal `not_found`, `missing_permission`, `plan_expired`, `plan_changed`, `plan_drifted`, `already_started`, `redrive_done`,
 * `in_progress` (still planning) or `approval_needed`.
 */
export async function startRedrive(tx: Tx, { id, ask, actor, demand, host }: StartOptions): Promise<void> {
  await lockAdmissions(tx);
  const redrive = await lockRedrive(tx, id);
  if (!redrive) throw refuse('not_found');
  demand(permissions[redrive.action]);
  if (redrive.options.target_queue !== null) demand('dlq.edit');
  refuseUnlessPlanned(redrive);
  refuseUnlessAgreed(redrive, ask);
  await refuseUnlessApproved(tx, redrive);
  const held = await skipHeld(tx, id);
  const drift = await refuseDrift(tx, redrive, held, ask.accept_drift);
  await tx.query(sql`
    update ops.redrive
    set state = 'waiting', version = version + 1, reason = ${ask.reason}, started_by = ${actor.id}, started_by_name = ${actor.name},
        started_via = ${actor.via}, started_at = clock_timestamp(),
        undo_until = clock_timestamp() + ${host.undoMs ?? defaultUndoMs} * interval '1 ms',
        resumes_as = ${redrive.options.canary ? 'canary' : 'running'}
    where id = ${id}`);
  await audit(tx, {
    actor,
    action: 'redrive.started',
    targetType: 'redrive',
    targetId: id,
    reason: ask.reason,
    details: { action: redrive.action, included: redrive.included, held, drift, rate: redrive.rate.asked },
  });
}

function refuseUnlessPlanned({ state, started_by_name, started_at, expires_at, now }: Redrive): void {
  if (started_at) throw refuse('already_started', { by: started_by_name, at: started_at.toISOString(), state });
  if (state === 'planning') throw refuse('in_progress', { state });
  if (state === 'aborting' || state === 'aborted') throw refuse('redrive_done', { state });
  if (state === 'expired' || (expires_at && expires_at <= now)) {
    throw refuse('plan_expired', { expired_at: expires_at?.toISOString() });
  }
}

function refuseUnlessAgreed({ plan_hash, included }: Redrive, { plan_hash: hash, confirm_count }: StartRequest): void {
  if (plan_hash !== hash || included !== confirm_count) throw refuse('plan_changed', { plan_hash, included });
}

async function refuseUnlessApproved(tx: Tx, { id, approved_by }: Redrive): Promise<void> {
  if (approved_by !== null) return;
  const { needed, because } = await readApproval(tx, id);
  if (needed) throw refuse('approval_needed', { because, needs: 'POST /redrives/:id/approve by another person' });
}

async function readApproval(db: Queryable, id: string): Promise<{ needed: boolean; because: string | null }> {
  const { rows } = await db.query<{ approval: { needed: boolean; because: string | null } | null }>(
    sql`select plan -> 'approval' as approval from ops.redrive where id = ${id}`,
  );
  return rows[0]?.approval ?? { needed: false, because: null };
}

/** No letter is in two redrives: what another one holds is skipped here. */
async function skipHeld(tx: Tx, id: string): Promise<number> {
  const { rows } = await tx.query(sql`
    select from ops.redrive where state = any (${liveStates}::text[]) and id <> ${id} limit 1`);
  if (rows.length === 0) return 0;
  const { rowCount } = await tx.query(sql`
    update ops.redrive_item i set outcome = 'skipped', why = 'held_by_redrive', decided_at = clock_timestamp()
    where i.redrive_id = ${id} and i.outcome = 'planned' and exists (
      select from ops.redrive_item h join ops.redrive r on r.id = h.redrive_id
      where h.letter_id = i.letter_id and h.redrive_id <> i.redrive_id and h.outcome in ('planned', 'enqueued')
        and r.state = any (${liveStates}::text[]))`);
  return rowCount;
}

/** Counts the items whose letters changed since the plan. Those that are left are skipped when their turn comes. */
async function refuseDrift(tx: Tx, { id, included }: Redrive, held: number, isAccepted: boolean): Promise<number> {
  const { rows } = await tx.query<{ changed: number; some: string[] | null }>(sql`
    select count(*)::int as changed, (array_agg(i.letter_id))[1:20] as some
    from ops.redrive_item i left join ops.dead_letter_queue d on d.id = i.letter_id
    where i.redrive_id = ${id} and i.outcome = 'planned' and d.version is distinct from i.letter_version`);
  const drift = held + (rows[0]?.changed ?? 0);
  if (isAccepted || drift <= (included ?? 0) * mostDrift) return drift;
  throw refuse('plan_drifted', {
    changed: drift,
    included,
    held_by_redrives: held,
    by: await actorsOn(tx, rows[0]?.some ?? []),
  });
}

/** Who acted last on some of the letters. */
async function actorsOn(tx: Tx, letterIds: readonly string[]): Promise<string[]> {
  const { rows } = await tx.query<{ by: string }>(sql`
    select distinct a.actor_name as by
    from unnest(${letterIds}::text[]) as l(id)
    cross join lateral (
      select actor_name from ops.audit_log
      where target_type = 'dead_letter' and target_id = l.id and action like 'dlq.%' and action <> 'dlq.entry_viewed'
      order by seq desc limit 1) a`);
  return rows.map(({ by }) => by);
}

/**
 * Approves a plan that needs a second person. True when it was approved before: the first name stays.
 * Throws refusal `not_found`, `self_approval`, `plan_expired`, `already_started` or `in_progress`.
 */
export async function approveRedrive(
  tx: Tx,
  { id, actor, reason }: { id: string; actor: Actor; reason?: string | undefined },
): Promise<{ already: boolean }> {
  const redrive = await lockRedrive(tx, id);
  if (!redrive) throw refuse('not_found');
  if (redrive.created_by === actor.id) throw refuse('self_approval');
  if (redrive.approved_by !== null) return { already: true };
  refuseUnlessPlanned(redrive);
  await changeRedrive(tx, id, { state: 'planned' });
  await tx.query(sql`
    update ops.redrive set approved_by = ${actor.id}, approved_by_name = ${actor.name}, approved_at = clock_timestamp() where id = ${id}`);
  const details = { plan_hash: redrive.plan_hash, included: redrive.included };
  await audit(tx, { actor, action: 'redrive.approved', targetType: 'redrive', targetId: id, reason, details });
  return { already: false };
}
