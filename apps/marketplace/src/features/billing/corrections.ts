import { type Queryable, sql } from '@fmhl/ops';
import type { Cause } from './discrepancy.ts';

export interface CorrectionRow {
  id: string;
  run_id: string | null;
  provider_id: string;
  company: string;
  cached_cents: number;
  ledger_cents: number;
  diff_cents: number;
  action: 'corrected' | 'alerted' | 'reconciled';
  cause: Cause;
  broken_version: number | null;
  last_version: number;
  memo: string | null;
  closed_at: Date | null;
  closed_by: string | null;
  close_memo: string | null;
  created_at: Date;
  /** Of `created_at`, to the microsecond. */
  position: string;
}

export interface CorrectionFilter {
  /** Only cases that wait for a person. */
  open: boolean;
  providerId: string | undefined;
  after: readonly [string, string] | undefined;
  limit: number;
}

/** What reconciliation found and did, newest first. */
export async function listCorrections(
  db: Queryable,
  { open, providerId, after, limit }: CorrectionFilter,
): Promise<CorrectionRow[]> {
  const { rows } = await db.query<CorrectionRow>(sql`
    select c.id, c.run_id, c.provider_id, p.company, c.cached_cents, c.ledger_cents, c.diff_cents, c.action, c.cause, c.broken_version,
           c.last_version, c.memo, c.closed_at, c.closed_by, c.close_memo, c.created_at, c.created_at::text as position
    from balance_correction c join v_provider p on p.id = c.provider_id
    where true ${open ? sql`and c.action = 'alerted' and c.closed_at is null` : sql``}
      ${providerId === undefined ? sql`` : sql`and c.provider_id = ${providerId}`}
      ${after ? sql`and (c.created_at, c.id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
    order by c.created_at desc, c.id desc limit ${limit}::int`);
  return rows;
}
