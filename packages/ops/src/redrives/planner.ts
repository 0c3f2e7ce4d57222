import type { Logger } from '../logging/index.ts';
import { type Database, databaseFailure, sql } from '../postgres/index.ts';
import { type RedriveDeps, resumePlan } from './plan.ts';

export interface PlannerDeps extends RedriveDeps {
  readonly db: Database;
  readonly log: Logger;
}

/** A million letters are frozen in one statement. */
const freezeWithinMs = 600_000;
const removeBatch = 5_000;

/** Makes the oldest plan that was too large for its request. Killed in the middle, it leaves nothing, and another begins again. */
export async function planNext(deps: PlannerDeps): Promise<{ more: boolean }> {
  const { db, log } = deps;
  const { rows } = await db.query<{ id: string }>(
    sql`select id from ops.redrive where state = 'planning' order by created_at limit 1`,
  );
  const id = rows[0]?.id;
  if (id === undefined) return { more: false };
  try {
    await db.transaction((tx) => lockedPlan(deps, tx, id), { statementTimeoutMs: freezeWithinMs });
    // So many new rows change what is a good plan for the statements to come.
    await db.query(sql`analyze ops.redrive_item`);
  } catch (error) {
    if (error instanceof PlanGone) return { more: true };
    if (databaseFailure(error) !== undefined) throw error;
    log.error('redrive_plan_failed', error, { redrive_id: id });
    await giveUp(db, id);
  }
  return { more: true };
}

/** Aborted, or made by another engine, while it was made here: what was frozen is rolled back. */
class PlanGone extends Error {}

async function lockedPlan(
  deps: PlannerDeps,
  tx: Parameters<Parameters<Database['transaction']>[0]>[0],
  id: string,
): Promise<void> {
  await tx.query(sql`select pg_advisory_xact_lock(hashtextextended(${`ops.redrive ${id}`}, 0))`);
  if (!(await resumePlan(tx, id, deps))) throw new PlanGone();
}

async function giveUp(db: Database, id: string): Promise<void> {
  const plan = JSON.stringify({ warnings: ['it could not be planned; the log of the scheduler says why'] });
  await db.query(sql`
    update ops.redrive set state = 'expired', version = version + 1, plan = ${plan}::jsonb, ended_at = clock_timestamp()
    where id = ${id} and state = 'planning'`);
}

/** Ends plans that nobody started in time, and removes their items. */
export async function expirePlans(db: Database): Promise<{ more: boolean }> {
  await db.query(sql`
    update ops.redrive set state = 'expired', version = version + 1, ended_at = clock_timestamp()
    where state = 'planned' and expires_at <= clock_timestamp()`);
  const { rowCount } = await db.query(sql`
    delete from ops.redrive_item where ctid = any (array (
      select i.ctid from ops.redrive r join ops.redrive_item i on i.redrive_id = r.id
      where r.state = 'expired' limit ${removeBatch}))`);
  return { more: rowCount === removeBatch };
}
