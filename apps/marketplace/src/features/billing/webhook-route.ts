import { createHash } from 'node:crypto';
import { type Database, Refusal } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { refuse } from '../../errors.ts';
import { type PaymentWebhook, paymentWebhook, paymentWebhookResponse } from './contract.ts';
import { settlePayment, type SignedReport } from './deposit.ts';
import type { BillingDeps } from './measure.ts';
import { viewPayment } from './routes.ts';
import { signatureHolds } from './signature.ts';

export interface WebhookDeps extends BillingDeps {
  readonly db: Database;
  /** Shared with the gateway; several while they are being changed. */
  readonly webhookSecrets: readonly string[];
  readonly now?: () => Date;
}

const signatureHeader = z.object({ 'x-fmhl-signature': z.string().describe('`t=<unix seconds>,v1=<hex>`') });

/** `POST /webhooks/payments`, in a scope of its own: the signature is over the body as it came, so nothing may parse it first. */
export function paymentWebhookRoute(
  app: FastifyInstance,
  { db, webhookSecrets, now = () => new Date(), ...deps }: WebhookDeps,
): void {
  app.register(async (scope) => {
    scope.removeContentTypeParser('application/json');
    scope.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: 65_536 }, (_request, body, done) =>
      done(null, body),
    );
    // The handler checks both itself: the signature first, over the body as it came. The schemas are for the documentation.
    scope.setValidatorCompiler(() => (value) => ({ value }));
    scope.route({
      method: 'POST',
      url: '/webhooks/payments',
      config: { access: 'public' },
      schema: {
        tags: ['billing'],
        summary: 'What the payment gateway reports',
        description:
          'The signature is the HMAC-SHA256 over `<t>.<raw body>` with the shared secret, not older than 5 minutes. Repeats answer 200.',
        headers: signatureHeader,
        body: paymentWebhook,
        response: { 200: paymentWebhookResponse },
      },
      handler: async (request) => {
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        if (!signatureHolds(request.headers['x-fmhl-signature'], body, webhookSecrets, now()))
          throw refuse('signature_invalid');
        const signed = { report: parse(body), bodySha256: createHash('sha256').update(body).digest() };
        const { payment, changed } = await db
          .transaction((tx) => settlePayment(tx, signed, deps))
          .catch((error: unknown) => tellRefused(error, signed, deps));
        return { payment: viewPayment(payment), changed };
      },
    });
  });
}

/** A gateway that is refused, though its signature holds, disagrees with us about money: somebody must look. */
function tellRefused(error: unknown, { report }: SignedReport, { log, metrics }: BillingDeps): never {
  if (error instanceof Refusal) {
    const { gateway, event_id, payment_id, status } = report;
    metrics.billingFailure('deposit', 'contradiction');
    log.warn('payment_report_refused', { gateway, event_id, payment_id, status, code: error.code });
  }
  throw error;
}

function parse(body: Buffer): PaymentWebhook {
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch {
    throw refuse('validation_failed', { faults: [{ at: 'body', message: 'must be JSON' }] });
  }
  const parsed = paymentWebhook.safeParse(json);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues
    .slice(0, 20)
    .map(({ path, message }) => ({ at: ['body', ...path].join('.'), message }));
  throw refuse('validation_failed', { faults });
}
