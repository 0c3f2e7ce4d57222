import { type Sql, sql } from '@fmhl/ops';

export interface SaleMarks {
  /** Subscriptions found unable to pay, ranked before the last one served. */
  unfunded: readonly string[];
  /** The run that says so. */
  ref: string;
  levelId: string;
  /** Where the order of the level stands now. */
  clock: number;
}

/**
 * What a sale leaves on the order of a level, as the CTEs `srv`, `brk` and `clk` of the statement that charges. It reads the CTE
 * `w (sub, vt, day, n, …)` of the served ones. `version` stays on serving: it counts changes of terms, which callers compare.
 */
export function saleMarks({ unfunded, ref, levelId, clock }: SaleMarks): Sql {
  return sql`
    srv as (
      update subscription s set vt = w.vt, day_key = w.day, day_n = w.n, last_served_at = clock_timestamp()
      from w where s.id = w.sub),
    brk as (
      update subscription set status = 'paused_funds', status_ref = ${ref}, version = version + 1, updated_at = clock_timestamp()
      where id = any(${unfunded}::uuid[]) and status = 'active'),
    clk as (update level set vclock = greatest(vclock, ${clock}::bigint) where id = ${levelId}::uuid)`;
}
