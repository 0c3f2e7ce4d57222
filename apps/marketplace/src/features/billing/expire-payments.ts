import { audit, sql, systemActor, type Tx } from '@fmhl/ops';
import type { Log } from '../../log.ts';

/** Days that a payment waits for the word of its gateway. */
const patienceDays = 7;

/**
 * Ends the payments of which no gateway told anything for seven days, oldest first, and answers how many. They keep no gateway: a success
 * that is told later is still credited. For a loop.
 */
export async function expirePayments(
  tx: Tx,
  { now, limit }: { now: Date; limit: number },
  { log }: { log: Log },
): Promise<number> {
  const { rows } = await tx.query<{ id: string; provider_id: string; amount_cents: number; created_at: Date }>(sql`
    update payment set status = 'expired', version = version + 1, updated_at = clock_timestamp()
    where id in (
      select id from payment where status = 'pending' and created_at <= ${now}::timestamptz - ${patienceDays}::int * interval '1 day'
      order by created_at limit ${limit} for no key update skip locked)
    returning id, provider_id, amount_cents, created_at`);
  const status = 'expired';
  for (const { id, provider_id, amount_cents, created_at } of rows) {
    const details = { status, amount_cents, provider_id };
    await audit(tx, {
      actor: systemActor,
      action: 'billing.deposit_ended',
      targetType: 'payment',
      targetId: id,
      details,
    });
    const waitedMs = now.getTime() - created_at.getTime();
    tx.afterCommit(() => log.info('payment_ended', { payment_id: id, status, waited_ms: waitedMs }));
  }
  return rows.length;
}
