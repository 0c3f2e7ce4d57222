import { sql, type Tx } from '@fmhl/ops';

/** Stands where an address was: a domain that never exists. */
export const erasedAddress = 'erased@erased.invalid';

/** Removes the address from every mail of a thing, and answers how many. What waits is not sent; one that is on its way arrives. */
export async function eraseMails(tx: Tx, related: { type: string; id: string }): Promise<number> {
  const { rowCount } = await tx.query(sql`
    update email
    set to_address = ${erasedAddress}, last_error = null, updated_at = clock_timestamp(), version = version + 1,
        status = case when status in ('queued', 'sending') then 'suppressed' else status end
    where related_type = ${related.type} and related_id = ${related.id} and to_address <> ${erasedAddress}`);
  return rowCount;
}
