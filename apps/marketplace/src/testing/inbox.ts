import { type Database, sql } from '@fmhl/ops';
import type { DistributionDeps } from '../features/distribution/index.ts';
import { sellLead } from './distribution.ts';

/** Sells an approved lead and answers its assignments by provider. */
export async function makeAssignments(
  db: Database,
  leadId: string,
  deps: DistributionDeps,
): Promise<Map<string, string>> {
  await sellLead(db, leadId, deps);
  const { rows } = await db.query<{ id: string; provider_id: string }>(
    sql`select id, provider_id from v_assignment where lead_id = ${leadId}`,
  );
  return new Map(rows.map((row) => [row.provider_id, row.id]));
}
