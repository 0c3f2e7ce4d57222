import { type Sql, sql } from '@fmhl/ops';

/**
 * Marks those assignments refunded that are not yet, as a statement or a CTE: the first part of every refund (`refund` of billing).
 * Rows: id, provider_id, of those it marked; each assignment is in one answer only, however many ask.
 */
export function refundMark(assignmentIds: readonly string[]): Sql {
  return sql`
    update assignment set refunded_at = clock_timestamp()
    where id = any(${assignmentIds}::uuid[]) and refunded_at is null
    returning id, provider_id`;
}
