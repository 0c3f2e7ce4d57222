import type { LevelRow, NicheRow } from './catalogue-queries.ts';
import type { Level, Niche, Profile, ProviderCard, Subscription } from './contract.ts';
import type { ProviderRow, SubscriptionRow } from './queries.ts';

export const viewNiche = (row: NicheRow): Niche => ({ ...row, created_at: row.created_at.toISOString() });

export const viewLevel = (row: LevelRow): Level => row;

/** What a provider sees of itself. */
export function viewProfile(row: ProviderRow): Profile {
  const { id, company, tz, status, email_verified, balance_cents, low_balance_cents, version } = row;
  return { id, company, tz, status, email_verified, balance_cents, low_balance_cents, version };
}

/** What staff see of a provider. */
export function viewProvider(row: ProviderRow): ProviderCard {
  const { id, user_id, email, company, tz, status, balance_cents, version, created_at } = row;
  return { id, user_id, email, company, tz, status, balance_cents, version, created_at: created_at.toISOString() };
}

export function viewSubscription({ position: _position, ...row }: SubscriptionRow): Subscription {
  return {
    ...row,
    last_served_at: row.last_served_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
  };
}
