import { appendEvents, type Sql, sql, type Tx } from '@fmhl/ops';

/** Why a provider is suspended whose user was disabled: only what was suspended for this comes back with the user. */
const withUser = 'its user was disabled';

/** Makes the waiting provider of a user active, as their address is verified. */
export async function activateProvider(tx: Tx, userId: string): Promise<boolean> {
  return turn(tx, userId, { type: 'provider.activated', to: 'active', memo: null, when: sql`status = 'pending'` });
}

/** Suspends the provider of a user who was disabled: they buy nothing until the user is enabled. */
export async function suspendProvider(tx: Tx, userId: string): Promise<boolean> {
  return turn(tx, userId, {
    type: 'provider.suspended',
    to: 'suspended',
    memo: withUser,
    when: sql`status = 'active'`,
  });
}

/** Undoes {@link suspendProvider}. */
export async function reinstateProvider(tx: Tx, userId: string): Promise<boolean> {
  const when = sql`status = 'suspended' and status_memo = ${withUser}`;
  return turn(tx, userId, { type: 'provider.reinstated', to: 'active', memo: null, when });
}

async function turn(
  tx: Tx,
  userId: string,
  { type, to, memo, when }: { type: string; to: 'active' | 'suspended'; memo: string | null; when: Sql },
): Promise<boolean> {
  const { rows } = await tx.query<{ id: string; version: number }>(sql`
    update provider set status = ${to}, status_memo = ${memo}, version = version + 1, updated_at = clock_timestamp()
    where user_id = ${userId} and ${when}
    returning id, version`);
  const [provider] = rows;
  if (!provider) return false;
  await appendEvents(tx, [
    {
      stream: 'identity',
      type,
      aggregateType: 'provider',
      aggregateId: provider.id,
      aggregateVersion: provider.version,
      payload: { provider_id: provider.id, user_id: userId },
    },
  ]);
  return true;
}
