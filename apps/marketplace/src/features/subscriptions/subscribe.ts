import { isDeepStrictEqual } from 'node:util';
import { type Actor, appendEvents, audit, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { isArea } from './areas.ts';
import { refuseOtherVersion } from './catalogue.ts';
import type { FilterRule, FormSchema, SubscriptionChange, SubscriptionStatus, SubscriptionTerms } from './contract.ts';
import { readFilter } from './filter-rules.ts';
import { subscriptionEvent } from './funding.ts';
import {
  insertSubscription,
  levelTerms,
  type LevelTerms,
  lockBalance,
  lockSubscription,
  replaceAreas,
  subscriptionById,
  type SubscriptionRow,
  updateSubscription,
} from './queries.ts';
import { afterWish, entryStatus } from './subscription-status.ts';

/**
 * Subscribes a provider to a level; active at once if the balance pays one lead, else paused for funds. Refuses `not_found`
 * (level), `invalid_state` (retired level), `filter_invalid`, `validation_failed` (areas) and `already_subscribed`.
 */
export async function subscribe(
  tx: Tx,
  { providerId, terms, actor }: { providerId: string; terms: SubscriptionTerms; actor: Actor },
  { log }: { log: Log },
): Promise<SubscriptionRow> {
  const level = await levelTerms(tx, terms.level_id);
  if (!level) throw refuse('not_found', { at: 'body.level_id' });
  if (level.status !== 'active') throw refuse('invalid_state', { status: level.status });
  const areas = checkedAreas(terms.areas);
  const filterRules = checkedFilter(terms.filter_rules, level.form_schema);
  const status = entryStatus((await lockBalance(tx, providerId)) >= level.price_cents);
  const id = await insertSubscription(tx, {
    providerId,
    levelId: terms.level_id,
    status,
    areas,
    filterRules,
    weight: terms.weight,
    dailyCap: terms.daily_cap,
  });
  if (id === undefined) throw refuse('already_subscribed');
  const details = { provider_id: providerId, level_id: terms.level_id, status };
  await audit(tx, { actor, action: 'subscription.created', targetType: 'subscription', targetId: id, details });
  tx.afterCommit(() => log.info('subscription_changed', { subscription_id: id, ...details }));
  return (await subscriptionById(tx, id)) as SubscriptionRow;
}

export interface ChangedSubscription {
  subscription: SubscriptionRow;
  /** False when everything asked for held already. */
  changed: boolean;
}

interface ChangeInput<Change> {
  id: string;
  providerId: string;
  change: Change;
  actor: Actor;
}

/**
 * Changes a provider's own subscription. Refuses `not_found`, `version_changed`, `invalid_state` (cancelled), `paused_by_admin`,
 * `filter_invalid` and `validation_failed` (areas).
 */
export async function changeSubscription(
  tx: Tx,
  input: ChangeInput<SubscriptionChange>,
  deps: { log: Log },
): Promise<ChangedSubscription> {
  const { change } = input;
  const balance = await lockBalance(tx, input.providerId);
  const present = await presentSubscription(tx, input);
  refuseOtherVersion(present, change.expected_version);
  if (present.status === 'cancelled') throw refuse('invalid_state', { status: present.status });
  const level = (await levelTerms(tx, present.level_id)) as LevelTerms;
  const next = {
    status: change.status ? wished(present, change.status, balance >= level.price_cents) : present.status,
    areas: change.areas ? checkedAreas(change.areas) : present.areas,
    filter_rules:
      change.filter_rules === undefined ? present.filter_rules : checkedFilter(change.filter_rules, level.form_schema),
    daily_cap: change.daily_cap === undefined ? present.daily_cap : change.daily_cap,
  };
  return writeChange(tx, { ...input, present, next }, deps);
}

/** Ends a provider's own subscription for good. Refuses `not_found`. */
export async function cancelSubscription(
  tx: Tx,
  input: Omit<ChangeInput<never>, 'change'>,
  deps: { log: Log },
): Promise<ChangedSubscription> {
  const present = await presentSubscription(tx, input);
  return writeChange(tx, { ...input, present, next: { ...termsOf(present), status: 'cancelled' } }, deps);
}

async function presentSubscription(tx: Tx, key: { id: string; providerId: string }): Promise<SubscriptionRow> {
  const present = await lockSubscription(tx, key);
  if (!present) throw refuse('not_found');
  return present;
}

function wished(present: SubscriptionRow, wish: 'active' | 'paused_user', isFunded: boolean): SubscriptionStatus {
  const verdict = afterWish(present.status, wish, isFunded);
  if ('refused' in verdict) throw refuse(verdict.refused, { status: present.status });
  return verdict.next;
}

type Terms = Pick<SubscriptionRow, 'status' | 'areas' | 'filter_rules' | 'daily_cap'>;

const termsOf = ({ status, areas, filter_rules, daily_cap }: SubscriptionRow): Terms => ({
  status,
  areas,
  filter_rules,
  daily_cap,
});

/** Writes what differs, with its event and audit row; nothing when nothing does. */
async function writeChange(
  tx: Tx,
  {
    id,
    providerId,
    actor,
    present,
    next,
  }: { id: string; providerId: string; actor: Actor; present: SubscriptionRow; next: Terms },
  { log }: { log: Log },
): Promise<ChangedSubscription> {
  if (isDeepStrictEqual(termsOf(present), next)) return { subscription: present, changed: false };
  const { status, areas, filter_rules: filterRules, daily_cap: dailyCap } = next;
  await updateSubscription(tx, { id, status, ref: actor.id, filterRules, dailyCap });
  if (!isDeepStrictEqual(present.areas, areas)) await replaceAreas(tx, { id, levelId: present.level_id, areas });
  const wasActive = present.status === 'active';
  if (wasActive !== (status === 'active')) {
    const cause = status === 'cancelled' ? 'cancelled' : 'provider';
    const turn = { providerId, ids: [id], cause, ref: actor.id };
    await appendEvents(tx, [subscriptionEvent(wasActive ? 'subscription.paused' : 'subscription.resumed', turn)]);
  }
  const action = status === 'cancelled' ? 'subscription.cancelled' : 'subscription.changed';
  const details = { provider_id: providerId, from: present.status, to: status };
  await audit(tx, { actor, action, targetType: 'subscription', targetId: id, details });
  tx.afterCommit(() => log.info('subscription_changed', { subscription_id: id, provider_id: providerId, status }));
  return { subscription: (await subscriptionById(tx, id)) as SubscriptionRow, changed: true };
}

/** Sorted, each once, as they are read back. */
function checkedAreas(areas: readonly string[]): string[] {
  const wrong = areas.findIndex((area) => !isArea(area));
  if (wrong === -1) return [...new Set(areas)].sort();
  const message = 'must be *, US, a state such as US-CA, or a postcode prefix such as US-941';
  throw refuse('validation_failed', { faults: [{ at: `body.areas.${wrong}`, message }] });
}

function checkedFilter(input: readonly unknown[] | null, form: FormSchema): FilterRule[] | null {
  const filter = readFilter(input, form);
  if ('fault' in filter) throw refuse('filter_invalid', { ...filter.fault });
  return filter.rules;
}
