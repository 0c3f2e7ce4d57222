import type { Invariant } from '@fmhl/ops';
import { badLeadInvariants } from './features/bad-leads/index.ts';
import { moneyInvariants } from './features/billing/index.ts';
import { probes as saleInvariants } from './features/distribution/index.ts';
import { leadInvariants } from './features/leads/index.ts';
import { reportInvariants } from './features/reports/index.ts';
import { subscriptionInvariants } from './features/subscriptions/index.ts';

/** What must always be true of the marketplace: each feature says it of its own tables, and the doctor asks. */
export const invariants: readonly Invariant[] = [
  ...saleInvariants,
  ...leadInvariants,
  ...badLeadInvariants,
  ...subscriptionInvariants,
  ...moneyInvariants,
  ...reportInvariants,
];

/** Guarantees of money that are an invariant of sales by another name. */
export const sameAs: Readonly<Record<string, string>> = { M3: 'I6', M4: 'I3', M5: 'I4', M6: 'I11' };
