import type { TemplateName, VariablesOf } from './templates.ts';

const id = '0198c0de-0000-7000-8000-000000000001';

/** Variables to show each template with. */
export const samples: { readonly [Name in TemplateName]: VariablesOf<Name> } = {
  lead_confirm: { lead_id: id, nonce: 2, niche_name: 'Roofing & <Gutters>' },
  welcome: {},
  account_known: {},
  verify_email: { token_id: id },
  reset_password: { token_id: id, hours: 1, is_new: false },
  password_changed: {},
  mfa_changed: { enabled: false, method: 'passkey' },
  new_lead: { assignment_id: id, niche_name: 'Roofing & <Gutters>', level_name: 'Select', price_cents: 2800 },
  deposit_receipt: { payment_id: id, amount_cents: 10_000, balance_after_cents: 123_456 },
  low_balance: { balance_cents: 1250, threshold_cents: 5000 },
  subscriptions_paused: { count: 1 },
  subscriptions_resumed: { count: 3 },
  bad_lead_decided: { assignment_id: id, outcome: 'approved', amount_cents: 2800, balance_after_cents: 123_456 },
  lead_refunded: { assignment_id: id, amount_cents: 2800, balance_after_cents: 123_456 },
  provider_suspended: { closed: false },
  export_ready: { export_id: id, type: 'inbox', rows: 1, is_own: true },
};
