import type { z } from 'zod';
import { letterRetention, removedByQueue } from '../dead-letters/index.ts';
import { type Queryable, sql } from '../postgres/index.ts';
import { nextExpected } from '../schedules/index.ts';
import type { retentionPreview } from './contract.ts';
import { nextCleanup } from './next-cleanup.ts';

export type RetentionPreview = z.infer<typeof retentionPreview>;

/** Letters that are counted; more than that is said to be more. */
const mostCounted = 100_000;

/** The schedule that runs it, where the host named it so. */
const cleanupSchedule = 'dlq-cleanup';

interface Row {
  removes: number;
  oldest_closed_at: Date | null;
  holds: number;
  oldest_failed_at: Date | null;
  last_at: Date | null;
  last_removed: Record<string, unknown> | null;
}

/** What the next cleanup will remove, and what it keeps although it is as old: open letters. */
export async function previewRetention(db: Queryable, now: Date = new Date()): Promise<RetentionPreview> {
  const next = (await nextExpected(db, cleanupSchedule, now)) ?? nextCleanup(now);
  const before = new Date(next.getTime() - letterRetention.closedDays * 86_400_000);
  const { rows } = await db.query<Row>(sql`
    select
      (select count(*)::int from (
         select from ops.dead_letter_queue where resolved_at < ${before} order by resolved_at limit ${mostCounted}) old) as removes,
      (select min(resolved_at) from ops.dead_letter_queue) as oldest_closed_at,
      (select count(*)::int from (
         select from ops.dead_letter_queue where not resolved and failed_at < ${before}
         order by failed_at limit ${mostCounted}) old) as holds,
      (select failed_at from ops.dead_letter_queue where not resolved order by failed_at limit 1) as oldest_failed_at,
      last.at as last_at, last.details as last_removed
    from (select) none
    left join lateral (
      select at, details from ops.audit_log
      where action = 'dlq.retention_ran'
      order by seq desc limit 1) last on true`);
  const row = rows[0] as Row;
  return {
    closed_days: letterRetention.closedDays,
    next_at: next.toISOString(),
    removes: { ...counted(row.removes), oldest_closed_at: row.oldest_closed_at?.toISOString() ?? null },
    holds: { ...counted(row.holds), oldest_failed_at: row.oldest_failed_at?.toISOString() ?? null },
    last: row.last_at && { at: row.last_at.toISOString(), removed: removedByQueue(row.last_removed ?? {}) },
  };
}

function counted(count: number): { count: number; count_is_minimum?: true } {
  return { count, ...(count >= mostCounted && { count_is_minimum: true }) };
}
