export { adjust, type Adjustment } from './adjust.ts';
export { chargeEntriesFragment, debitFragment } from './charge.ts';
export { type Credit, credit } from './credit.ts';
export { type LowBalance, lowBalanceEvent, lowBalanceMail, setLowBalance } from './low-balance.ts';
export { type BillingDeps, measured } from './measure.ts';
export { type BillingRouteDeps, billingRoutes } from './routes.ts';
export { signWebhook } from './signature.ts';
export { paymentWebhookRoute, type WebhookDeps } from './webhook-route.ts';
