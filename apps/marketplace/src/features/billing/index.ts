export { adjust } from './adjust.ts';
export { chargeEntriesFragment, debitFragment } from './charge.ts';
export { credit } from './credit.ts';
export { type LowBalance, lowBalanceEvent, lowBalanceMail, setLowBalance } from './low-balance.ts';
export { type BillingDeps, measured } from './measure.ts';
export { type Refund, refund, type RefundDeps } from './refund.ts';
export { billingRoutes } from './routes.ts';
export { paymentWebhookRoute } from './webhook-route.ts';
