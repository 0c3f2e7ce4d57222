import { randomUUID } from 'node:crypto';
import { appendEvents, type EventDraft, eventsInsert, prepared, sql, type Tx } from '@fmhl/ops';
import { type MailDraft, mailParts } from '../email/index.ts';
import { pauseUnfundedAt, pauseUnfundedOf, resumeFundedOf, type Turned } from './queries.ts';

/** Ids an event carries at most; `count` is always whole. */
const namedAtMost = 100;

export interface Turn {
  /** Null when they are of many providers. */
  providerId: string | null;
  ids: readonly string[];
  cause: string;
  /** The run, entry or person behind it. */
  ref: string;
}

/** The fact that subscriptions of a provider paused or resumed together. An aggregate of its own: many rows, one fact. */
export function subscriptionEvent(type: 'subscription.paused' | 'subscription.resumed', turn: Turn): EventDraft {
  const { providerId, ids, cause, ref } = turn;
  return {
    stream: 'leads',
    type,
    aggregateType: 'subscription_turn',
    aggregateId: randomUUID(),
    aggregateVersion: 1,
    payload: { provider_id: providerId, subscription_ids: ids.slice(0, namedAtMost), count: ids.length, cause, ref },
  };
}

/**
 * Makes active every subscription that was paused for funds and that its provider's balance pays now, and tells each provider by mail.
 * Answers how many. The caller has written the accounts in this transaction, so that their locks order this with charges.
 */
export async function resumeFunded(
  tx: Tx,
  { providerIds, cause, ref }: { providerIds: readonly string[]; cause: string; ref: string },
): Promise<number> {
  if (providerIds.length === 0) return 0;
  const turned = await resumeFundedOf(tx, { providerIds, ref });
  return announce(tx, turned, { type: 'subscription.resumed', template: 'subscriptions_resumed', cause, ref });
}

/**
 * Pauses the active subscriptions whose price is above their provider's balance, and tells each provider by mail. Answers how many.
 * The caller holds the locks of the accounts.
 */
export async function pauseUnfunded(
  tx: Tx,
  { providerIds, ref }: { providerIds: readonly string[]; ref: string },
): Promise<number> {
  if (providerIds.length === 0) return 0;
  return announcePaused(tx, await pauseUnfundedOf(tx, { providerIds, ref }), ref);
}

/** One event and one mail for each provider. */
function announcePaused(tx: Tx, turned: readonly Turned[], ref: string): Promise<number> {
  return announce(tx, turned, { type: 'subscription.paused', template: 'subscriptions_paused', cause: 'funds', ref });
}

export interface Announcement {
  type: 'subscription.paused' | 'subscription.resumed';
  template: 'subscriptions_paused' | 'subscriptions_resumed';
  cause: string;
  ref: string;
}

/** Tells of what turned, in one statement: one event and one mail for each provider. Answers how many subscriptions turned. */
export async function announce(
  tx: Tx,
  turned: readonly Turned[],
  { type, template, cause, ref }: Announcement,
): Promise<number> {
  if (turned.length === 0) return 0;
  const events = turned.map(({ provider_id, ids }) =>
    subscriptionEvent(type, { providerId: provider_id, ids, cause, ref }),
  );
  const mails = turned.map((each) => turnedMail(each, template, ref));
  await tx.query(prepared('announce_turned', sql`with told as (${eventsInsert(events)}), ${mailParts(mails)} select`));
  tx.wake('events');
  tx.wake('jobs');
  return turned.reduce((sum, { ids }) => sum + ids.length, 0);
}

/** What a provider is told of its subscriptions, once for each cause `ref`. */
export function turnedMail(
  { provider_id, ids, email }: Turned,
  template: Announcement['template'],
  ref: string,
): MailDraft {
  return {
    template,
    to: email,
    dedupeKey: `${template}:${provider_id}:${ref}`,
    related: { type: 'provider', id: provider_id },
    variables: { count: ids.length },
  };
}

/** As {@link pauseUnfunded} for the subscriptions a sale has paused itself. */
export async function announceUnfunded(tx: Tx, { ids, ref }: { ids: readonly string[]; ref: string }): Promise<void> {
  if (ids.length === 0) return;
  const { rows } = await tx.query<Turned>(sql`
    select s.provider_id, array_agg(s.id order by s.id) as ids, c.email
    from subscription s join v_provider_contact c using (provider_id)
    where s.id = any(${ids}::uuid[]) group by s.provider_id, c.email order by s.provider_id`);
  await announcePaused(tx, rows, ref);
}

/**
 * Pauses every active subscription of a level whose provider cannot pay the price, in one statement: the remedy when a level has
 * become unaffordable in mass. Answers how many. One event for all, and no mail: such a price is the level's fault, not theirs.
 */
export async function sweepLevel(
  tx: Tx,
  { levelId, priceCents, ref }: { levelId: string; priceCents: number; ref: string },
): Promise<number> {
  const { count, firstIds } = await pauseUnfundedAt(tx, { levelId, priceCents, ref, named: namedAtMost });
  if (count === 0) return 0;
  const event = subscriptionEvent('subscription.paused', {
    providerId: null,
    ids: firstIds,
    cause: 'level_swept',
    ref,
  });
  await appendEvents(tx, [{ ...event, payload: { ...event.payload, count, level_id: levelId } }]);
  return count;
}
