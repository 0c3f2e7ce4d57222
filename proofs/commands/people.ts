import { openPaymentGateway, type Payment } from '../../apps/marketplace/src/simulator/live/payment-gateway.ts';
import { type Database, sql } from '../../packages/ops/src/postgres/index.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import { type ApiClient, enrol } from '../harness/api-client.ts';
import { openAuthenticator } from '../harness/authenticator.ts';

/** What the product under proof shares with its payment gateway. */
export const paymentSecret = 'the gateway of a proof';

const reason = 'so that every table has a row';

/** E-mail address and password. */
type SignIn = readonly string[];

interface Parties {
  readonly stranger: ApiClient;
  readonly admin: SignIn;
  readonly provider: SignIn;
}

/** What a provider, the staff and the gateway do on a day that is not quiet. */
export async function careForAll(db: Database, { stranger, admin, provider }: Parties): Promise<void> {
  const [email = '', password = ''] = admin;
  const staff = await stranger.signIn(email, password);
  await checkAll(db, staff);
  const providerId = await actAsProvider(stranger, provider);
  await staff.post('/admin/sources/proof/block', { memo: reason });
  await db.query(sql`update account set balance_cents = balance_cents + 1 where provider_id = ${providerId}`);
  await staff.post(`/admin/providers/${providerId}/reconcile`, { memo: reason });
}

/** Runs what compares balances and asks the invariants, which else runs in the night, and every ten minutes. */
async function checkAll(db: Database, staff: ApiClient): Promise<void> {
  for (const name of ['balance-reconciliation', 'invariants'])
    await staff.post(`/admin/schedules/${name}/run`, { reason }, `proof-${name}`);
  await pollUntil(async () => {
    const { rowCount } = await db.query(sql`select from reconciliation_run, ops.invariant_run limit 1`);
    return rowCount === 1;
  });
}

/** Pays in, buys a lead, reports it, asks for a file. Answers the id of the provider. */
async function actAsProvider(stranger: ApiClient, [email = '', password = '']: SignIn): Promise<string> {
  // A sign-in would forgive the failures of its own account.
  await stranger.signIn('nobody@example.com', 'not-the-password').catch(() => {});
  const app = openAuthenticator();
  await enrol(await stranger.signIn(email, password), app);
  const provider = await stranger.signIn(email, password, app);
  const deposit = { amount_cents: 5_000 };
  const { body } = await provider.post<{ payment: Payment }>('/provider/deposits', deposit, 'proof-deposit');
  await openPaymentGateway({ product: stranger, secret: paymentSecret }).report(body.payment);
  const bought = await firstLead(provider);
  await provider.post(`/provider/inbox/${bought}/accept`);
  await provider.post(`/provider/inbox/${bought}/report`, { reason: 'spam' });
  const range = { from: '2026-01-01', to: '2026-01-02' };
  await provider.post('/provider/reports/export', { type: 'inbox', ...range }, 'proof-export');
  return (await provider.get<{ id: string }>('/provider/me')).id;
}

async function firstLead(provider: ApiClient): Promise<string> {
  const [bought] = await pollUntil(async () => {
    const { items } = await provider.get<{ items: { assignment_id: string }[] }>('/provider/inbox');
    return items.length > 0 && items;
  });
  return bought?.assignment_id ?? '';
}
