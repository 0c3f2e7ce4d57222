import { randomUUID } from 'node:crypto';
import { armFault } from './market.ts';
import type { System } from './system.ts';

const memo = 'looked at by the proof';

/** A provider reports two leads. One is refunded at once, the other at the second attempt, as Postgres fails in between. */
export async function badLeads({ watch, people, market }: System): Promise<void> {
  const { email, password } = market.buyer;
  const buyer = await people.stranger.signIn(email, password);
  const { items } = await buyer.get<{ items: { assignment_id: string }[] }>('/provider/inbox?limit=2');
  const [first = '', second = ''] = items.map((item) => item.assignment_id);
  const report = (id: string) => buyer.post(`/provider/inbox/${id}/report`, { reason: 'unreachable' });
  const approve = (id: string) => people.staff.post(`/admin/bad-leads/${id}/approve`, { memo });
  await watch.sees('two bad leads are reported, one of them twice', () => oneByOne([first, first, second], report), [
    { metric: 'bad_leads_reported_total', rises: 2 },
    { metric: 'refunds_approved_total', rises: 0 },
  ]);
  await watch.sees('one is refunded, and asked for again', () => oneByOne([first, first], approve), [
    { metric: 'refunds_approved_total', rises: 1 },
    { metric: 'billing_operation_duration_ms', labels: { operation: 'refund' }, rises: 1 },
  ]);
  const disarm = await armFault(market.db, 'ledger_raises', market.funded.mixed[0]);
  await watch.sees('the refund of the other fails', () => approve(second).catch(() => undefined), [
    { metric: 'billing_failures_total', labels: { operation: 'refund', reason: 'error' }, rises: 1 },
    { metric: 'refunds_approved_total', rises: 0 },
  ]);
  await disarm();
  const goodwill = () => people.staff.post(`/admin/assignments/${second}/refund`, { memo }, randomUUID());
  await watch.sees('it is given back after all', goodwill, [{ metric: 'refunds_approved_total', rises: 1 }]);
}

async function oneByOne(ids: readonly string[], act: (id: string) => Promise<unknown>): Promise<void> {
  for (const id of ids) await act(id);
}
