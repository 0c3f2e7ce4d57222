import { type Actor, appendEvents, audit, type Queryable, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { createUser } from '../auth/index.ts';
import { queueMail } from '../email/index.ts';
import { refuseOtherVersion } from './catalogue.ts';
import type { ProfileChange } from './contract.ts';
import {
  insertProvider,
  isUnknownTimeZone,
  type ProviderDraft,
  providerById,
  providerOfUser,
  type ProviderRow,
  updateProvider,
} from './queries.ts';

/** Sets the balance below which a provider is told, in cents; null for never. Money belongs to a feature above this one. */
export type SetLowBalance = (tx: Tx, providerId: string, cents: number | null) => Promise<unknown>;

/** Adds the provider of a user and answers its id. Refuses `validation_failed` for a time zone Postgres does not know. */
export async function createProvider(tx: Tx, draft: ProviderDraft): Promise<string> {
  return insertProvider(tx, draft).catch(refuseUnknownTimeZone);
}

export interface ProviderAccountDraft {
  email: string;
  passwordHash: string;
  company: string;
  tz: string;
}

/** Adds a user whose address counts as verified, and their active provider. Refuses `email_taken`. */
export async function createProviderAccount(
  tx: Tx,
  { draft, actor }: { draft: ProviderAccountDraft; actor: Actor },
  deps: { log: Log },
): Promise<ProviderRow> {
  const { email, passwordHash, company, tz } = draft;
  const user = { email, passwordHash, displayName: company, role: 'provider', emailVerified: true, tz } as const;
  const userId = await createUser(tx, user, deps);
  if (userId === undefined) throw refuse('email_taken');
  const id = await createProvider(tx, { userId, company, tz, status: 'active' });
  await appendEvents(tx, [
    {
      stream: 'identity',
      type: 'provider.activated',
      aggregateType: 'provider',
      aggregateId: id,
      aggregateVersion: 1,
      payload: { provider_id: id, user_id: userId },
    },
  ]);
  await audit(tx, {
    actor,
    action: 'provider.created',
    targetType: 'provider',
    targetId: id,
    details: { user_id: userId },
  });
  const related = { type: 'user', id: userId };
  await queueMail(tx, { template: 'welcome', variables: {}, to: email, dedupeKey: `welcome:${userId}`, related });
  return presentProvider(tx, id);
}

/** Refuses `not_found`. */
export async function presentProvider(db: Queryable, id: string): Promise<ProviderRow> {
  const provider = await providerById(db, id);
  if (!provider) throw refuse('not_found');
  return provider;
}

/** The provider who asks. Refuses `not_found` for a user who has none. */
export async function ownProvider(db: Queryable, actor: Actor): Promise<ProviderRow> {
  const provider = await providerOfUser(db, actor.id);
  if (!provider) throw refuse('not_found');
  return provider;
}

/** The provider who asks to change something. Refuses also `email_unverified`, and `invalid_state` when suspended or closed. */
export async function ownWritingProvider(db: Queryable, actor: Actor): Promise<ProviderRow> {
  const provider = await ownProvider(db, actor);
  if (!provider.email_verified) throw refuse('email_unverified');
  if (provider.status === 'suspended' || provider.status === 'closed') {
    throw refuse('invalid_state', { status: provider.status });
  }
  return provider;
}

/** Changes what a provider may say of itself. Refuses `version_changed` and `validation_failed`. */
export async function changeProfile(
  tx: Tx,
  { provider, change, actor }: { provider: ProviderRow; change: ProfileChange; actor: Actor },
  { setLowBalance }: { setLowBalance: SetLowBalance },
): Promise<ProviderRow> {
  const { id, version } = provider;
  refuseOtherVersion(provider, change.expected_version);
  const { company = provider.company, tz = provider.tz, low_balance_cents } = change;
  const isUpdated = await updateProvider(tx, { id, version, company, tz }).catch(refuseUnknownTimeZone);
  if (!isUpdated) throw refuse('version_changed');
  if (low_balance_cents !== undefined) await setLowBalance(tx, id, low_balance_cents);
  const fields = Object.keys(change).filter((name) => name !== 'expected_version');
  await audit(tx, { actor, action: 'provider.changed', targetType: 'provider', targetId: id, details: { fields } });
  return presentProvider(tx, id);
}

function refuseUnknownTimeZone(error: unknown): never {
  if (!isUnknownTimeZone(error)) throw error;
  throw refuse('validation_failed', {
    faults: [{ at: 'body.tz', message: 'must be a time zone such as America/Chicago' }],
  });
}
