import { randomUUID } from 'node:crypto';
import type { Database } from '@fmhl/ops';
import { readConfig } from '../../config.ts';
import { openTelemetry } from '../../telemetry.ts';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { makeProvider } from '../../testing/subscriptions.ts';
import { openTestWorld } from '../../testing/world.ts';
import { billingRoutes } from './routes.ts';
import { signWebhook } from './signature.ts';
import { watchMoney } from './stocks.ts';
import { paymentWebhookRoute } from './webhook-route.ts';

const webhookSecret = 'shared with the gateway';
/** The time of the webhook's route. */
export const now = new Date('2026-01-05T10:30:00Z');

export type Deposits = Awaited<ReturnType<typeof openDeposits>>;

/** Providers who deposit over HTTP: `app` waits for a gateway, `instant` credits at once. */
export async function openDeposits() {
  const world = await openTestWorld();
  const { db } = world;
  const { app, instant } = await openServers(world);

  async function depositOf(provider: { userId: string }, amount_cents: number, server = app) {
    const headers = { ...signedInAs(provider.userId, 'provider'), ...key() };
    return server.inject({ method: 'POST', url: '/provider/deposits', headers, payload: { amount_cents } });
  }

  async function pendingPayment(amount_cents = 5_000) {
    const provider = await makeProvider(db);
    const answer = await depositOf(provider, amount_cents);
    return { provider, paymentId: answer.json().payment.id as string };
  }

  /** What a gateway tells, signed. */
  function report(body: object, { secret = webhookSecret, at = now, signed = JSON.stringify(body) } = {}) {
    return app.inject({
      method: 'POST',
      url: '/webhooks/payments',
      headers: { 'content-type': 'application/json', 'x-fmhl-signature': signWebhook(signed, secret, at) },
      payload: JSON.stringify(body),
    });
  }

  async function balance(provider: { userId: string }): Promise<number> {
    const answer = await app.inject({ url: '/provider/balance', headers: signedInAs(provider.userId, 'provider') });
    return answer.json().balance_cents as number;
  }

  return {
    world,
    db,
    app,
    instant,
    depositOf,
    pendingPayment,
    report,
    balance,
    stocks: () => stocksOf(db),
    async close() {
      await Promise.all([app.close(), instant.close()]);
      await world.close();
    },
  };
}

async function openServers(world: Awaited<ReturnType<typeof openTestWorld>>) {
  const deps = { db: world.db, metrics: world.metrics, log: world.log };
  const app = await openTestServer(world.log, {
    routes: (server) => {
      billingRoutes(server, { ...deps, depositMode: 'gateway' });
      paymentWebhookRoute(server, { ...deps, webhookSecrets: [webhookSecret, 'the one before it'], now: () => now });
    },
  });
  const instant = await openTestServer(world.log, {
    routes: (server) => billingRoutes(server, { ...deps, depositMode: 'instant' }),
  });
  return { app, instant };
}

/** What the metrics would say of payments. */
async function stocksOf(db: Database): Promise<{ pending: number; pending_age: number }> {
  const metrics = openTelemetry(readConfig({}), { role: 'test', logTo: { write() {} } }).metrics;
  watchMoney({ db, metrics });
  await metrics.render();
  return {
    pending: metrics.value('payments_pending') ?? Number.NaN,
    pending_age: metrics.value('payments_pending_oldest_age_seconds') ?? Number.NaN,
  };
}

export const key = () => ({ 'idempotency-key': randomUUID() });

export function success(paymentId: string, extra: object = {}) {
  return {
    gateway: 'acme',
    external_id: `ext-${paymentId}`,
    payment_id: paymentId,
    amount_cents: 5_000,
    status: 'succeeded',
    ...extra,
  };
}
