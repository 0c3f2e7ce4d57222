import { randomUUID } from 'node:crypto';
import { type Actor, audit, currentContext, enqueue, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import { reportExportQueue } from '../../queues.ts';
import type { ExportType } from './export-contract.ts';
import { countOfDay, insertExport, markCancelled, readExport } from './export-queries.ts';
import { readRange } from './report-range.ts';

/** Exports that may be asked for within a day: of one provider, and by one member of the staff. */
const mostOfDay = { provider: 10, staff: 100 };

export interface ExportRequest {
  readonly type: ExportType;
  readonly from: string;
  readonly to: string;
  /** Undefined for the staff, whose exports are of all providers. */
  readonly providerId: string | undefined;
  readonly actor: Actor;
}

/** Writes down that a file is wanted, and plans its job. Refuses `validation_failed`, and `rate_limited` beyond the number of a day. */
export async function requestExport(tx: Tx, request: ExportRequest, now: Date) {
  const { type, actor, providerId = null } = request;
  const { from, to } = readRange(request, { now, at: 'body' });
  const { count, seconds } = await countOfDay(tx, { providerId, requestedBy: actor.id });
  const most = providerId ? mostOfDay.provider : mostOfDay.staff;
  if (count >= most) throw refuse('rate_limited', { limit: `${most} exports a day`, retry_after_s: seconds });
  const id = randomUUID();
  const range = { from: from.toISOString(), to: to.toISOString() };
  const correlationId = currentContext()?.correlationId ?? 'none';
  await insertExport(tx, { id, requestedBy: actor.id, providerId, type, ...range, correlationId });
  await enqueue(tx, reportExportQueue, 'export_report', { v: 1, export_id: id }, { key: `export-${id}` });
  if (!providerId) await record(tx, { id, actor, action: 'report.export_requested', details: { type, ...range } });
  return { id, status: 'pending' as const };
}

/**
 * Ends an export that is not ready yet; its job stops at the next page. Refuses `not_found`, and `invalid_state` when it has ended otherwise.
 */
export async function cancelExport(
  tx: Tx,
  { id, providerId, actor }: { id: string; providerId: string | undefined; actor: Actor },
) {
  const found = await readExport(tx, id, providerId);
  if (!found) throw refuse('not_found');
  const changed = await markCancelled(tx, id);
  const status = changed ? 'cancelled' : ((await readExport(tx, id))?.status ?? found.status);
  if (status !== 'cancelled') throw refuse('invalid_state', { status });
  if (changed && !providerId) {
    await record(tx, { id, actor, action: 'report.export_cancelled', details: { type: found.type } });
  }
  return { id, status, changed };
}

/** What the staff do with data of all providers is written down. */
export function record(
  tx: Tx,
  { id, actor, action, details }: { id: string; actor: Actor; action: string; details: Record<string, unknown> },
): Promise<void> {
  return audit(tx, { actor, action, targetType: 'export', targetId: id, details });
}
