import type { Logger, OpsLogEvent } from '@fmhl/ops';

/** The marketplace's own log events: a closed list, so that a search for one finds all of it. */
export const marketplaceLogEvents = [
  'lead_submitted',
  'lead_confirmed',
  'lead_approved',
  'lead_rejected',
  'lead_expired',
  'lead_erased',
  'lead_distributed',
  'lead_unsold',
  'assignment_created',
  'assignment_skipped',
  'assignment_decided',
  'bad_lead_reported',
  'bad_lead_decided',
  'lead_marked_bad',
  'billing_failed',
  'balance_credited',
  'email_sent',
  'email_rejected',
  'email_suppressed',
  'user_registered',
  'user_signed_in',
  'sign_in_refused',
  'second_factor_unreadable',
  'second_factor_reset',
  'password_reset',
  'subscription_changed',
  'level_swept',
  'sweeper_ran',
  'demo_world_seeded',
  'rate_limits_in_memory',
  'rate_limits_in_redis',
] as const;

export type MarketplaceLogEvent = (typeof marketplaceLogEvents)[number] | OpsLogEvent;
export type Log = Logger<MarketplaceLogEvent>;
