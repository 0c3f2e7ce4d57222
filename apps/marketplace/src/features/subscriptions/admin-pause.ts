import { type Actor, appendEvents, audit, type Queryable, sql, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { SubscriptionStatus } from './contract.ts';
import { subscriptionEvent } from './funding.ts';
import { withProvider } from './provider-status-queries.ts';
import { levelTerms, lockBalance, lockSubscription, subscriptionById, type SubscriptionRow } from './queries.ts';
import type { ChangedSubscription } from './subscribe.ts';
import { afterAdminPause } from './subscription-status.ts';

interface Input {
  id: string;
  memo: string;
  actor: Actor;
}

/**
 * Pauses a subscription, whoever wants it active: its owner cannot resume it, and no money does. Refuses `not_found`, and `invalid_state`
 * when it is cancelled.
 */
export async function pauseByAdmin(tx: Tx, input: Input, deps: { log: Log }): Promise<ChangedSubscription> {
  const { present } = await lockedSubscription(tx, input.id);
  if (present.status === 'cancelled') throw refuse('invalid_state', { status: present.status });
  if (present.status === 'paused_admin') {
    const changed = await outlastSuspension(tx, input);
    return { subscription: (await subscriptionById(tx, input.id)) ?? present, changed };
  }
  return turn(tx, { ...input, present, to: 'paused_admin' }, deps);
}

/**
 * Ends an administrator's pause: what its owner had paused is so again, all else is active or paused for funds by the balance now.
 * Refuses `not_found`, and `invalid_state` when it is cancelled.
 */
export async function resumeByAdmin(tx: Tx, input: Input, deps: { log: Log }): Promise<ChangedSubscription> {
  const { present, balanceCents } = await lockedSubscription(tx, input.id);
  if (present.status === 'cancelled') throw refuse('invalid_state', { status: present.status });
  if (present.status !== 'paused_admin') return { subscription: present, changed: false };
  const level = await levelTerms(tx, present.level_id);
  const isFunded = level !== undefined && balanceCents >= level.price_cents;
  const to = afterAdminPause(await readPausedFrom(tx, input.id), isFunded);
  return turn(tx, { ...input, present, to }, deps);
}

/** One that stopped with its provider would go on with it: from now on it is paused by itself. */
async function outlastSuspension(tx: Tx, { id, memo, actor }: Input): Promise<boolean> {
  const { rowCount } = await tx.query(sql`
    update subscription set status_ref = ${actor.id}, version = version + 1, updated_at = clock_timestamp()
    where id = ${id} and status = 'paused_admin' and status_ref = ${withProvider}`);
  if (rowCount === 0) return false;
  await audit(tx, { actor, action: 'subscription.paused', targetType: 'subscription', targetId: id, reason: memo });
  return true;
}

/** The account first, as everywhere. */
async function lockedSubscription(tx: Tx, id: string): Promise<{ present: SubscriptionRow; balanceCents: number }> {
  const seen = await subscriptionById(tx, id);
  if (!seen) throw refuse('not_found');
  const providerId = seen.provider_id;
  const balanceCents = await lockBalance(tx, providerId);
  const present = await lockSubscription(tx, { id, providerId });
  if (!present) throw refuse('not_found');
  return { present, balanceCents };
}

async function turn(
  tx: Tx,
  { id, memo, actor, present, to }: Input & { present: SubscriptionRow; to: SubscriptionStatus },
  { log }: { log: Log },
): Promise<ChangedSubscription> {
  await updateStatus(tx, { id, to, ref: actor.id });
  const isPause = to === 'paused_admin';
  if (isPause ? present.status === 'active' : to === 'active') {
    const fact = { providerId: present.provider_id, ids: [id], cause: 'admin', ref: actor.id };
    await appendEvents(tx, [subscriptionEvent(isPause ? 'subscription.paused' : 'subscription.resumed', fact)]);
  }
  await audit(tx, {
    actor,
    action: isPause ? 'subscription.paused' : 'subscription.resumed',
    targetType: 'subscription',
    targetId: id,
    reason: memo,
    details: { provider_id: present.provider_id, from: present.status, to },
  });
  tx.afterCommit(() =>
    log.info('subscription_changed', { subscription_id: id, provider_id: present.provider_id, status: to }),
  );
  return { subscription: (await subscriptionById(tx, id)) as SubscriptionRow, changed: true };
}

async function readPausedFrom(tx: Queryable, id: string): Promise<SubscriptionStatus | null> {
  const { rows } = await tx.query<{ paused_from: SubscriptionStatus | null }>(
    sql`select paused_from from subscription where id = ${id}`,
  );
  return rows[0]?.paused_from ?? null;
}

async function updateStatus(
  tx: Queryable,
  { id, to, ref }: { id: string; to: SubscriptionStatus; ref: string },
): Promise<void> {
  await tx.query(sql`
    update subscription s
    set status = ${to}, status_ref = ${ref}, paused_from = case when ${to} = 'paused_admin' then s.status end,
        vt = case when ${to} = 'active' then greatest(s.vt, l.vclock) else s.vt end,
        version = s.version + 1, updated_at = clock_timestamp()
    from level l
    where s.id = ${id} and l.id = s.level_id`);
}
