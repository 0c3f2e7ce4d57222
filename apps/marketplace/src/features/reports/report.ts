import type { Database, Sql } from '@fmhl/ops';
import type { z } from 'zod';
import { refuse } from '../../errors.ts';
import { badLeads, providers, sources } from './quality-queries.ts';
import { type Clock, mostRows, type ReportName, type reportRows } from './report-contract.ts';
import { reportRules } from './report-rules.ts';
import type { Asked } from './report-groups.ts';
import { readRange } from './report-range.ts';
import { funnel, kpis, revenue } from './sales-queries.ts';
import { coverage, isStarvationCut, starvation } from './supply-queries.ts';

const statements: Record<ReportName, (asked: Asked) => Sql> = {
  kpis,
  funnel,
  revenue,
  coverage,
  starvation,
  providers,
  sources,
  'bad-leads': badLeads,
};

/** Of reports that do not look at all there is: whether something stayed unseen. */
const cuts: Partial<Record<ReportName, (asked: Asked) => Sql>> = { starvation: isStarvationCut };

/** Longest run of one report. */
const timeoutMs = 10_000;

export interface ReportRequest {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly clock?: Clock | undefined;
  readonly by?: string | undefined;
}

/** Counts rows, from one snapshot. Refuses `validation_failed` for a range that is none, `report_too_slow` after 10 s. */
export async function runReport<Name extends ReportName>(db: Database, name: Name, request: ReportRequest, now: Date) {
  const { mostDays, usualDays, clock: usualClock } = reportRules[name];
  const range = readRange(request, { now, mostDays, usualDays, at: 'query' });
  const clock = request.clock ?? usualClock;
  const by = request.by ?? null;
  const asked = { ...range, clock: clock ?? 'created', by: by ?? '', limit: mostRows + 1 };
  const { rows, isCut } = await read<z.infer<(typeof reportRows)[Name]>>(db, name, asked);
  return {
    report: name,
    clock,
    from: range.from.toISOString(),
    to: range.to.toISOString(),
    by,
    items: rows.slice(0, mostRows),
    truncated: isCut || rows.length > mostRows,
    generated_at: now.toISOString(),
  };
}

async function read<Row extends object>(
  db: Database,
  name: ReportName,
  asked: Asked,
): Promise<{ rows: Row[]; isCut: boolean }> {
  const cut = cuts[name]?.(asked);
  try {
    const options = { readOnly: true, statementTimeoutMs: timeoutMs };
    return await db.transaction(async (tx) => {
      const { rows } = await tx.query<Row>(statements[name](asked));
      const isCut = cut !== undefined && (await tx.query<{ is_cut: boolean }>(cut)).rows[0]?.is_cut === true;
      return { rows, isCut };
    }, options);
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== cancelled) throw error;
    throw refuse('report_too_slow', { limit_ms: timeoutMs, hint: 'ask for a shorter time' });
  }
}

/** SQLSTATE of a statement that its timeout ended. */
const cancelled = '57014';
