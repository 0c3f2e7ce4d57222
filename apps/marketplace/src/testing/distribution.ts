import { type BreachRow, type Database, findBreaches, type Queryable, sql } from '@fmhl/ops';
import { distributeLead, type Distribution, type DistributionDeps } from '../features/distribution/index.ts';
import { invariants } from '../invariants.ts';

/** Runs one sale of a lead, of its present sale number. */
export async function sellLead(db: Database, leadId: string, deps: DistributionDeps): Promise<Distribution> {
  const { rows } = await db.query<{ sale_no: number }>(sql`select sale_no from v_lead where id = ${leadId}`);
  const saleNo = rows[0]?.sale_no ?? 0;
  return db.transaction((tx) => distributeLead(tx, { leadId, saleNo, attempt: 1 }, deps));
}

/** The rows that break an invariant, by its name; empty when all hold. */
export async function brokenInvariants(db: Queryable): Promise<Record<string, readonly BreachRow[]>> {
  const broken: Record<string, readonly BreachRow[]> = {};
  for (const probe of invariants) {
    // Its counters know what a test broke on purpose, also where that was rolled back.
    if (probe.name === 'I11') continue;
    const { rows } = await findBreaches(db, probe);
    if (rows.length > 0) broken[probe.name] = rows;
  }
  return broken;
}
