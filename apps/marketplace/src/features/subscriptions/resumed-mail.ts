import { sql, type Tx } from '@fmhl/ops';
import { queueMail } from '../email/index.ts';

/** Tells a provider that subscriptions are active again: one mail for each change of the balance. */
export async function mailResumed(
  tx: Tx,
  { providerId, count, ref }: { providerId: string; count: number; ref: string },
): Promise<void> {
  const { rows } = await tx.query<{ email: string }>(
    sql`select email from v_provider_contact where provider_id = ${providerId}`,
  );
  const [contact] = rows;
  if (!contact) return;
  await queueMail(tx, {
    template: 'subscriptions_resumed',
    to: contact.email,
    dedupeKey: `subscriptions_resumed:${providerId}:${ref}`,
    related: { type: 'provider', id: providerId },
    variables: { count },
  });
}
