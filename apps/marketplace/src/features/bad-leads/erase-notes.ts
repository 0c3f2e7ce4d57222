import { sql, type Tx } from '@fmhl/ops';

/** Removes what buyers wrote when they reported a lead: their words may name its person. What was decided stays. */
export async function eraseNotes(tx: Tx, leadId: string): Promise<void> {
  await tx.query(sql`
    update bad_lead_report set notes = null, updated_at = clock_timestamp()
    where notes is not null and assignment_id in (select id from v_assignment where lead_id = ${leadId})`);
}
