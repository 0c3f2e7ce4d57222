import { createHmac } from 'node:crypto';
import type { Answer, Caller } from './caller.ts';

export interface Payment {
  readonly id: string;
  readonly amount_cents: number;
}

/** How a report of the gateway differs from an honest one in time. */
export interface Reporting {
  /** Default `succeeded`. */
  readonly status?: 'pending' | 'succeeded' | 'failed' | 'expired';
  /** How long ago it was signed, in ms. Default 0. */
  readonly signedAgoMs?: number;
  /** Signed with a secret that is not the gateway's. */
  readonly isForged?: boolean;
}

/** A payment gateway, as another party that knows the secret and the form of the webhook and nothing more. */
export interface PaymentGateway {
  /** Tells what became of a payment; whatever is answered. */
  report(payment: Payment, how?: Reporting): Promise<Answer<{ changed?: boolean; code?: string }>>;
}

const name = 'simulated';

export function openPaymentGateway(deps: { product: Caller; secret: string; now?: () => Date }): PaymentGateway {
  const { product, secret, now = () => new Date() } = deps;
  return {
    report({ id, amount_cents }, { status = 'succeeded', signedAgoMs = 0, isForged = false } = {}) {
      const external_id = `${name}-${id}`;
      const event_id = `${external_id}-${status}`;
      const body = { event_id, gateway: name, external_id, payment_id: id, amount_cents, status };
      const seconds = Math.floor((now().getTime() - signedAgoMs) / 1_000);
      const signature = createHmac('sha256', isForged ? 'guessed' : secret)
        .update(`${seconds}.${JSON.stringify(body)}`)
        .digest('hex');
      const headers = { 'x-fmhl-signature': `t=${seconds},v1=${signature}` };
      return product.ask('POST', '/webhooks/payments', { body, headers });
    },
  };
}
