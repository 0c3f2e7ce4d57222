import { type Actor, appendEvents, audit, type Sql, sql, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { queueMail } from '../email/index.ts';
import { subscriptionEvent } from './funding.ts';
import { cancelSubscriptionsOf, reopenSubscriptionsOf, stopSubscriptionsOf } from './provider-status-queries.ts';
import { lockBalance, type ProviderStatus } from './queries.ts';
import { mailResumed } from './resumed-mail.ts';

/** Why a provider is suspended whose user was disabled: only what was suspended for this comes back with the user. */
const withUser = 'its user was disabled';

/** Ends the sessions and API tokens of a user. The composition gives it, as tokens belong to a feature beside this one. */
export type EndAccess = (tx: Tx, userId: string, now: Date) => Promise<{ sessions: number; tokens: number }>;

export interface ProviderAct {
  readonly providerId: string;
  readonly actor: Actor;
  readonly memo: string;
  readonly now: Date;
}

export interface ProviderStatusDeps {
  readonly log: Log;
  readonly endAccess: EndAccess;
}

/** What an act of the staff left. */
export interface ProviderTurn {
  readonly status: ProviderStatus;
  /** False when it was so already. */
  readonly changed: boolean;
}

/** Makes the waiting provider of a user active, as their address is verified. */
export async function activateProvider(tx: Tx, userId: string): Promise<boolean> {
  const to = { type: 'provider.activated', status: 'active', memo: null } as const;
  return (await turn(tx, sql`user_id = ${userId} and status = 'pending'`, to)) !== undefined;
}

/** Suspends the provider of a user who was disabled: they buy nothing until the user is enabled. */
export async function suspendProvider(tx: Tx, userId: string): Promise<boolean> {
  const provider = await suspend(tx, sql`user_id = ${userId}`, { memo: withUser, ref: userId });
  return provider !== undefined;
}

/** Undoes {@link suspendProvider}. */
export async function reinstateProvider(tx: Tx, userId: string): Promise<boolean> {
  const provider = await reinstate(tx, sql`user_id = ${userId} and status_memo = ${withUser}`, { ref: userId });
  return provider !== undefined;
}

/**
 * Stops a provider: its subscriptions buy nothing from this commit on, its user's sessions and API tokens end. Its own pauses stay its own.
 * Refuses `not_found`, and `invalid_state` for one that waits or is closed.
 */
export async function suspendByStaff(tx: Tx, act: ProviderAct, deps: ProviderStatusDeps): Promise<ProviderTurn> {
  const { providerId, actor, memo, now } = act;
  const stopped = await suspend(tx, sql`id = ${providerId}`, { memo, ref: actor.id });
  const provider = stopped ?? (await keepSuspended(tx, { providerId, memo }));
  if (!provider) return standing(tx, providerId, 'suspended');
  const access = await deps.endAccess(tx, provider.user_id, now);
  await mailStopped(tx, provider, { closed: false });
  return record(
    tx,
    act,
    { action: 'provider.suspended', provider, details: { stopped: provider.count, ...access } },
    deps,
  );
}

/**
 * Lets a suspended provider buy again; what was stopped resumes as far as the balance pays it. Refuses as {@link suspendByStaff}, also while
 * its user is disabled.
 */
export async function reinstateByStaff(tx: Tx, act: ProviderAct, deps: ProviderStatusDeps): Promise<ProviderTurn> {
  // Behind the lock that disabling the user takes too: it is over by now, or finds an active provider to suspend.
  await lockAccountOf(tx, sql`id = ${act.providerId}`);
  if (await isUserDisabled(tx, act.providerId))
    throw refuse('invalid_state', { status: 'suspended', user: 'disabled' });
  const provider = await reinstate(tx, sql`id = ${act.providerId}`, { ref: act.actor.id });
  if (!provider) return standing(tx, act.providerId, 'active');
  return record(tx, act, { action: 'provider.reinstated', provider, details: { resumed: provider.count } }, deps);
}

/**
 * Ends a suspended provider for good: its subscriptions are cancelled, its user's sessions and API tokens end; money and leads stay.
 * Refuses `not_found`, and `invalid_state` for one that is not suspended.
 */
export async function closeByStaff(tx: Tx, act: ProviderAct, deps: ProviderStatusDeps): Promise<ProviderTurn> {
  const { providerId, actor, memo, now } = act;
  await lockBalance(tx, providerId);
  const to = { type: 'provider.closed', status: 'closed', memo } as const;
  const provider = await turn(tx, sql`id = ${providerId} and status = 'suspended'`, to);
  if (!provider) return standing(tx, providerId, 'closed');
  const cancelled = await cancelSubscriptionsOf(tx, { providerId, ref: actor.id });
  const access = await deps.endAccess(tx, provider.user_id, now);
  await mailStopped(tx, provider, { closed: true });
  return record(tx, act, { action: 'provider.closed', provider, details: { cancelled, ...access } }, deps);
}

async function isUserDisabled(tx: Tx, providerId: string): Promise<boolean> {
  const { rows } = await tx.query<{ disabled: boolean }>(sql`
    select u.status = 'disabled' as disabled from provider p join v_user u on u.id = p.user_id where p.id = ${providerId}`);
  return rows[0]?.disabled ?? false;
}

interface TurnedProvider {
  readonly id: string;
  readonly user_id: string;
  readonly version: number;
  readonly status: ProviderStatus;
}

/**
 * A sale holds the account's lock to its commit and reads the provider's status behind it: it has ended before the status changes, or
 * sees the change.
 */
async function lockAccountOf(tx: Tx, who: Sql): Promise<void> {
  const { rows } = await tx.query<{ id: string }>(sql`select id from provider where ${who}`);
  if (rows[0]) await lockBalance(tx, rows[0].id);
}

async function suspend(tx: Tx, who: Sql, { memo, ref }: { memo: string; ref: string }) {
  await lockAccountOf(tx, who);
  const to = { type: 'provider.suspended', status: 'suspended', memo } as const;
  const provider = await turn(tx, sql`${who} and status = 'active'`, to);
  if (!provider) return undefined;
  const ids = await stopSubscriptionsOf(tx, provider.id);
  const stopped = { providerId: provider.id, ids, cause: 'provider_suspended', ref };
  if (ids.length > 0) await appendEvents(tx, [subscriptionEvent('subscription.paused', stopped)]);
  return { ...provider, count: ids.length };
}

/** One that is suspended with its user stays so when the user comes back. */
async function keepSuspended(tx: Tx, { providerId, memo }: { providerId: string; memo: string }) {
  const { rows } = await tx.query<TurnedProvider>(sql`
    update provider set status_memo = ${memo}, version = version + 1, updated_at = clock_timestamp()
    where id = ${providerId} and status = 'suspended' and status_memo = ${withUser}
    returning id, user_id, version, status`);
  return rows[0] && { ...rows[0], count: 0 };
}

async function reinstate(tx: Tx, who: Sql, { ref }: { ref: string }) {
  await lockAccountOf(tx, who);
  const to = { type: 'provider.reinstated', status: 'active', memo: null } as const;
  const provider = await turn(tx, sql`${who} and status = 'suspended'`, to);
  if (!provider) return undefined;
  const ids = await reopenSubscriptionsOf(tx, { providerId: provider.id, ref });
  if (ids.length === 0) return { ...provider, count: 0 };
  const resumed = { providerId: provider.id, ids, cause: 'provider_reinstated', ref };
  await appendEvents(tx, [subscriptionEvent('subscription.resumed', resumed)]);
  await mailResumed(tx, { providerId: provider.id, count: ids.length, ref: `reinstated:${provider.version}` });
  return { ...provider, count: ids.length };
}

async function turn(
  tx: Tx,
  when: Sql,
  { type, status, memo }: { type: string; status: Exclude<ProviderStatus, 'pending'>; memo: string | null },
): Promise<TurnedProvider | undefined> {
  const { rows } = await tx.query<TurnedProvider>(sql`
    update provider set status = ${status}, status_memo = ${memo}, version = version + 1, updated_at = clock_timestamp()
    where ${when}
    returning id, user_id, version, status`);
  const [provider] = rows;
  if (!provider) return undefined;
  await appendEvents(tx, [
    {
      stream: 'identity',
      type,
      aggregateType: 'provider',
      aggregateId: provider.id,
      aggregateVersion: provider.version,
      payload: { provider_id: provider.id, user_id: provider.user_id },
    },
  ]);
  tx.wake('events');
  return provider;
}

/** What stands where nothing was to do. */
async function standing(tx: Tx, providerId: string, wanted: ProviderStatus): Promise<ProviderTurn> {
  const { rows } = await tx.query<{ status: ProviderStatus }>(
    sql`select status from provider where id = ${providerId}`,
  );
  const [provider] = rows;
  if (!provider) throw refuse('not_found');
  if (provider.status !== wanted) throw refuse('invalid_state', { status: provider.status });
  return { status: wanted, changed: false };
}

async function record(
  tx: Tx,
  { providerId, actor, memo }: ProviderAct,
  { action, provider, details }: { action: string; provider: TurnedProvider; details: Record<string, number> },
  { log }: ProviderStatusDeps,
): Promise<ProviderTurn> {
  await audit(tx, { actor, action, targetType: 'provider', targetId: providerId, reason: memo, details });
  const { status } = provider;
  tx.afterCommit(() => log.info('provider_status_changed', { provider_id: providerId, status }));
  return { status, changed: true };
}

async function mailStopped(tx: Tx, { id, version }: TurnedProvider, variables: { closed: boolean }): Promise<void> {
  const { rows } = await tx.query<{ email: string }>(
    sql`select email from v_provider_contact where provider_id = ${id}`,
  );
  const [contact] = rows;
  if (!contact) return;
  await queueMail(tx, {
    template: 'provider_suspended',
    variables,
    to: contact.email,
    dedupeKey: `provider_suspended:${id}:${version}`,
    related: { type: 'provider', id },
  });
}
