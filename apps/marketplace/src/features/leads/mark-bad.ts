import { type Actor, sql, type Tx } from '@fmhl/ops';

/** A lead as it is when it has just become bad. */
export interface BadLead {
  readonly id: string;
  readonly niche_id: string;
  readonly version: number;
  readonly correlation_id: string;
}

/**
 * Makes a sold lead bad for all its buyers. Undefined when it is not in state `distributed`. The caller, in the same transaction,
 * refunds what it was sold for and tells `lead.marked_bad`.
 */
export async function endAsBad(
  tx: Tx,
  { leadId, memo, actor }: { leadId: string; memo: string; actor: Actor },
): Promise<BadLead | undefined> {
  const { rows } = await tx.query<BadLead>(sql`
    update lead set status = 'bad', bad_by = ${actor.id}, bad_at = clock_timestamp(), bad_memo = ${memo},
                    updated_at = clock_timestamp(), version = version + 1
    where id = ${leadId} and status = 'distributed'
    returning id, niche_id, version, correlation_id`);
  return rows[0];
}
