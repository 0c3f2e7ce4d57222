/** One type of event: where it is told, whose version it carries, and what its payload holds. */
export interface EventReference {
  readonly stream: 'identity' | 'leads' | 'billing';
  /** The `aggregate_type`; its version orders the events of one aggregate. */
  readonly aggregate: string;
  readonly meaning: string;
  /** Fields of the payload: ids, cents, counts, times and enums; never personal data, never a token. */
  readonly payload: readonly string[];
}

const lead = ['lead_id', 'niche_id'] as const;
const entry = ['provider_id', 'entry_id', 'amount_cents', 'balance_after_cents'] as const;
const turn = ['provider_id', 'subscription_ids', 'count', 'cause', 'ref'] as const;

/** Every event the marketplace tells, by type. A test holds it against what the features append. */
export const events = {
  'user.registered': {
    stream: 'identity',
    aggregate: 'user',
    meaning: 'An account was made.',
    payload: ['user_id', 'role', 'display_name', 'tz'],
  },
  'user.token_issued': {
    stream: 'identity',
    aggregate: 'user',
    meaning: 'A link was mailed that verifies the address or sets the password.',
    payload: ['user_id', 'token_id', 'purpose'],
  },
  'user.email_verified': {
    stream: 'identity',
    aggregate: 'user',
    meaning: 'The address of an account is that of its owner.',
    payload: ['user_id'],
  },
  'user.password_changed': {
    stream: 'identity',
    aggregate: 'user',
    meaning: 'A password was chosen by a mailed link; all sessions ended.',
    payload: ['user_id'],
  },
  'user.mfa_changed': {
    stream: 'identity',
    aggregate: 'user',
    meaning: 'A second factor was added to an account, or taken away.',
    payload: ['user_id', 'enabled'],
  },
  'user.disabled': {
    stream: 'identity',
    aggregate: 'user',
    meaning: 'An administrator locked an account; its sessions and tokens ended.',
    payload: ['user_id'],
  },
  'user.enabled': {
    stream: 'identity',
    aggregate: 'user',
    meaning: 'An administrator unlocked an account.',
    payload: ['user_id'],
  },
  'provider.activated': {
    stream: 'identity',
    aggregate: 'provider',
    meaning: 'A provider may buy.',
    payload: ['provider_id', 'user_id'],
  },
  'provider.suspended': {
    stream: 'identity',
    aggregate: 'provider',
    meaning: 'A provider buys nothing for now.',
    payload: ['provider_id', 'user_id'],
  },
  'provider.reinstated': {
    stream: 'identity',
    aggregate: 'provider',
    meaning: 'A suspended provider may buy again.',
    payload: ['provider_id', 'user_id'],
  },
  'provider.closed': {
    stream: 'identity',
    aggregate: 'provider',
    meaning: 'A suspended provider ended for good; its subscriptions are cancelled.',
    payload: ['provider_id', 'user_id'],
  },
  'lead.submitted': {
    stream: 'leads',
    aggregate: 'lead',
    meaning: 'A lead was stored.',
    payload: [...lead, 'duplicate', 'is_test'],
  },
  'lead.confirmed': { stream: 'leads', aggregate: 'lead', meaning: 'The link in the mail was clicked.', payload: lead },
  'lead.approved': { stream: 'leads', aggregate: 'lead', meaning: 'A person put the lead up for sale.', payload: lead },
  'lead.rejected': {
    stream: 'leads',
    aggregate: 'lead',
    meaning: 'A person ended the lead.',
    payload: [...lead, 'reason'],
  },
  'lead.expired': {
    stream: 'leads',
    aggregate: 'lead',
    meaning: 'Never confirmed in time, or offered often enough without a buyer.',
    payload: lead,
  },
  'lead.erased': {
    stream: 'leads',
    aggregate: 'lead',
    meaning: 'What told of its person was removed; if nobody had bought it, `lead.rejected` came before.',
    payload: lead,
  },
  'lead.distributed': {
    stream: 'leads',
    aggregate: 'lead',
    meaning: 'The lead was sold.',
    payload: [...lead, 'start_ord', 'assigned', 'offered'],
  },
  'lead.unsold': {
    stream: 'leads',
    aggregate: 'lead',
    meaning: 'Nobody bought; a next try is planned.',
    payload: [...lead, 'tries', 'next_try_at'],
  },
  'assignment.created': {
    stream: 'leads',
    aggregate: 'assignment',
    meaning: 'One provider bought one lead.',
    payload: ['assignment_id', 'lead_id', 'provider_id', 'level_id', 'price_cents'],
  },
  'assignment.decided': {
    stream: 'leads',
    aggregate: 'inbox_mark',
    meaning: 'A provider accepted or declined what they bought; no money moves.',
    payload: ['assignment_id', 'decision'],
  },
  'bad_lead.reported': {
    stream: 'leads',
    aggregate: 'bad_lead_report',
    meaning: 'A provider says that a lead they bought is bad; no money moves yet.',
    payload: ['assignment_id', 'reason'],
  },
  'bad_lead.decided': {
    stream: 'leads',
    aggregate: 'bad_lead_report',
    meaning: 'An assignment was refunded, whether or not it was reported, or its report turned down.',
    payload: ['assignment_id', 'outcome'],
  },
  'lead.marked_bad': {
    stream: 'leads',
    aggregate: 'lead',
    meaning: 'A sold lead was bad for all its buyers; who was not refunded before, is now.',
    payload: [...lead, 'refunds', 'refund_cents'],
  },
  'subscription.paused': {
    stream: 'leads',
    aggregate: 'subscription_turn',
    meaning:
      'Subscriptions stopped buying together. `provider_id` is null, and `level_id` set, when a whole level was swept.',
    payload: [...turn, 'level_id'],
  },
  'subscription.resumed': {
    stream: 'leads',
    aggregate: 'subscription_turn',
    meaning: 'Subscriptions buy again.',
    payload: turn,
  },
  'level.price_changed': {
    stream: 'leads',
    aggregate: 'level',
    meaning: 'A level has a new price; what that made unaffordable was paused, and what it made affordable resumed.',
    payload: ['level_id', 'from_cents', 'to_cents', 'paused', 'resumed', 'ref'],
  },
  'balance.deposited': { stream: 'billing', aggregate: 'account', meaning: 'A payment was credited.', payload: entry },
  'balance.charged': {
    stream: 'billing',
    aggregate: 'account',
    meaning: 'An assignment was paid.',
    payload: [...entry, 'assignment_id'],
  },
  'balance.refunded': {
    stream: 'billing',
    aggregate: 'account',
    meaning: 'The price of an assignment came back.',
    payload: [...entry, 'assignment_id'],
  },
  'balance.adjusted': {
    stream: 'billing',
    aggregate: 'account',
    meaning: 'A person added or took money.',
    payload: entry,
  },
  'balance.corrected': {
    stream: 'billing',
    aggregate: 'balance_correction',
    meaning: 'A balance was set to the sum of its ledger: a small difference by itself, any other by a person.',
    payload: ['provider_id', 'cached_cents', 'ledger_cents'],
  },
  'balance.discrepancy_found': {
    stream: 'billing',
    aggregate: 'balance_correction',
    meaning: 'A balance and its ledger disagree, and a person must settle it.',
    payload: ['provider_id', 'cached_cents', 'ledger_cents'],
  },
  'balance.low': {
    stream: 'billing',
    aggregate: 'low_balance',
    meaning: 'A balance fell below the threshold of its owner.',
    payload: ['provider_id', 'balance_cents', 'threshold_cents'],
  },
} as const satisfies Record<string, EventReference>;
