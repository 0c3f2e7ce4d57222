import { randomUUID } from 'node:crypto';
import type { Ground } from '../live/ground.ts';
import { openMarket } from '../live/market.ts';
import type { Payment } from '../live/payment-gateway.ts';
import { defineScenario } from './scenario.ts';

const deposits = 3;
const amountCents = 5_000;

interface Facts {
  readonly providerId: string;
  readonly before: number;
  readonly payments: Payment[];
}

export const webhooksLate = defineScenario<Facts>({
  name: 'webhooks-late',
  title: 'The payment gateway tells late, twice, and in the wrong order',
  cause:
    'A provider pays in three times, and the gateway keeps silent. When it speaks again, it says everything twice, the old after the new, and a stranger speaks too.',
  signals: [
    { metric: 'fmhl_payments_pending', reaches: deposits, tells: 'deposits wait for the gateway' },
    { metric: 'fmhl_payments_pending_oldest_age_seconds', reaches: 1, tells: 'and the oldest grows older' },
  ],
  steps: [
    'Tell the provider what its own page says: the deposit is in progress (`pending_cents` of `GET /api/v1/provider/balance`).',
    'Ask the gateway to send its webhooks again. That is safe: each is known by its own id, and money is credited once.',
    'Look at the ledger: `GET /api/v1/provider/balance/entries` has one deposit for each payment. What is signed with another secret was refused with 401.',
  ],
  async inject(ground) {
    if (ground.depositMode !== 'gateway')
      throw new Error('webhooks-late: deposits are instant here; start the product with DEPOSIT_MODE=gateway');
    const { buyers } = await openMarket(ground);
    const [buyer] = buyers;
    if (!buyer) throw new Error('a buyer is needed');
    const before = await balanceOf(ground, buyer.id);
    const payments: Payment[] = [];
    for (let n = 0; n < deposits; n += 1) {
      const { body } = await buyer.caller.post<{ payment: Payment }>(
        '/provider/deposits',
        { amount_cents: amountCents },
        randomUUID(),
      );
      payments.push(body.payment);
    }
    return { providerId: buyer.id, before, payments };
  },
  async remedy(ground, { providerId, before, payments }) {
    for (const payment of payments) await tellBadly(ground, payment);
    const gained = (await balanceOf(ground, providerId)) - before;
    if (gained !== deposits * amountCents) throw new Error(`${gained} cents were credited for ${deposits} deposits`);
  },
  async stop({ gateway }, { payments }) {
    for (const payment of payments) await gateway.report(payment);
  },
});

/** Forged first, then late, twice at once, and with news that are older than what was told. */
async function tellBadly({ gateway }: Ground, payment: Payment): Promise<void> {
  const forged = await gateway.report(payment, { isForged: true });
  if (forged.status !== 401) throw new Error(`a forged webhook was answered with ${forged.status}`);
  const stale = await gateway.report(payment, { signedAgoMs: 10 * 60_000 });
  if (stale.status !== 401) throw new Error(`a webhook signed ten minutes ago was answered with ${stale.status}`);
  const twice = await Promise.all([gateway.report(payment), gateway.report(payment)]);
  const changed = twice.filter(({ body }) => body.changed === true);
  if (changed.length !== 1) throw new Error(`of two webhooks ${changed.length} changed something`);
  const older = await gateway.report(payment, { status: 'pending' });
  if (older.body.changed !== false) throw new Error('an older webhook undid a newer one');
}

async function balanceOf({ operator }: Ground, providerId: string): Promise<number> {
  return (await operator.get<{ balance_cents: number }>(`/admin/providers/${providerId}`)).balance_cents;
}
