import { sql, type Tx } from '@fmhl/ops';

/** The `status_ref` of what stopped with its provider: what an administrator paused by itself stays paused when the provider is back. */
export const withProvider = 'provider_suspended';

/** Takes what buys, or waits for funds, out of the order; a provider's own pause stays. Answers the ids of those that were active. */
export async function stopSubscriptionsOf(tx: Tx, providerId: string): Promise<string[]> {
  const { rows } = await tx.query<{ id: string }>(sql`
    with held as materialized (
      select id, status from subscription where provider_id = ${providerId} and status in ('active', 'paused_funds')
      order by id for no key update),
    stopped as (
      update subscription s
      set status = 'paused_admin', status_ref = ${withProvider}, paused_from = s.status, version = s.version + 1,
          updated_at = clock_timestamp()
      from held h where s.id = h.id returning s.id, h.status as was)
    select id from stopped where was = 'active' order by id`);
  return rows.map(({ id }) => id);
}

/** Judges anew, by balance against price, what {@link stopSubscriptionsOf} stopped. Answers the ids of those that are active again. */
export async function reopenSubscriptionsOf(
  tx: Tx,
  { providerId, ref }: { providerId: string; ref: string },
): Promise<string[]> {
  const { rows } = await tx.query<{ id: string }>(sql`
    with held as materialized (
      select s.id, l.vclock, coalesce(a.balance_cents, 0) >= l.price_cents as funded
      from subscription s join level l on l.id = s.level_id left join v_account a on a.provider_id = s.provider_id
      where s.provider_id = ${providerId} and s.status = 'paused_admin' and s.status_ref = ${withProvider}
      order by s.id for no key update of s),
    reopened as (
      update subscription s
      set status = case when h.funded then 'active' else 'paused_funds' end, status_ref = ${ref}, paused_from = null,
          vt = case when h.funded then greatest(s.vt, h.vclock) else s.vt end, version = s.version + 1,
          updated_at = clock_timestamp()
      from held h where s.id = h.id returning s.id, s.status)
    select id from reopened where status = 'active' order by id`);
  return rows.map(({ id }) => id);
}

/** Ends every subscription of a provider, and answers how many. */
export async function cancelSubscriptionsOf(
  tx: Tx,
  { providerId, ref }: { providerId: string; ref: string },
): Promise<number> {
  const { rowCount } = await tx.query(sql`
    update subscription set status = 'cancelled', status_ref = ${ref}, version = version + 1, updated_at = clock_timestamp()
    where id in (select id from subscription where provider_id = ${providerId} and status <> 'cancelled'
                 order by id for no key update)`);
  return rowCount;
}
