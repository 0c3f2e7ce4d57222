import { enqueue, enqueueMany, type Tx } from '@fmhl/ops';
import { distributeLeadQueue } from '../../queues.ts';
import { contextUnder } from './correlation.ts';

/** Run key of one sale of a lead. */
export function saleKey(leadId: string, saleNo: number): string {
  return `distribute-${leadId}-${saleNo}`;
}

/** Plans the sale of a lead, in the context of the lead. Answers the run key. */
export async function planSale(tx: Tx, lead: { id: string; sale_no: number }, delayMs = 0): Promise<string> {
  const key = saleKey(lead.id, lead.sale_no);
  const payload = { v: 1 as const, lead_id: lead.id, sale_no: lead.sale_no };
  await enqueue(tx, distributeLeadQueue, 'distribute_lead', payload, { key, delayMs });
  return key;
}

/** Plans the sales of many leads in one statement, each in the context of its lead. */
export async function planSales(
  tx: Tx,
  leads: readonly { id: string; sale_no: number; correlation_id: string }[],
): Promise<void> {
  const drafts = leads.map(({ id, sale_no, correlation_id }) => ({
    key: saleKey(id, sale_no),
    payload: { v: 1 as const, lead_id: id, sale_no },
    context: contextUnder(correlation_id),
  }));
  await enqueueMany(tx, distributeLeadQueue, 'distribute_lead', drafts);
}
