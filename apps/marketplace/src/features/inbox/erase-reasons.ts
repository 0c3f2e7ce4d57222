import { sql, type Tx } from '@fmhl/ops';

/** Removes what buyers wrote when they declined a lead: their words may name its person. What was decided stays. */
export async function eraseReasons(tx: Tx, leadId: string): Promise<void> {
  await tx.query(sql`
    update inbox_mark set decline_reason = null, updated_at = clock_timestamp()
    where decline_reason is not null and assignment_id in (select id from v_assignment where lead_id = ${leadId})`);
}
