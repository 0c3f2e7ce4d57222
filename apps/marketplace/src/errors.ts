import { opsErrors, refusals } from '@fmhl/ops/contract';

/** Every error code the marketplace answers with, beside the operations plane's own. */
export const errors = {
  ...opsErrors,
  invalid_credentials: { status: 401, meaning: 'E-mail or password is wrong.' },
  invalid_code: { status: 401, meaning: 'The code is wrong, or was used before; five wrong ones end the session.' },
  mfa_challenge_required: {
    status: 401,
    meaning: 'The password was right; now show the second factor at `/auth/mfa/challenge`.',
  },
  already_enrolled: { status: 409, meaning: 'There is a second factor of this kind; disable it first.' },
  not_enrolled: { status: 409, meaning: 'There is no such second factor: enrol one first.' },
  email_unverified: { status: 403, meaning: 'Verify the e-mail address before changing anything.' },
  consent_outdated: { status: 409, meaning: 'The consent text has changed; `details.version` names the present one.' },
  source_blocked: { status: 403, meaning: 'Leads of this source are not accepted.' },
  last_admin: { status: 409, meaning: 'Somebody must stay an active administrator.' },
  own_account: { status: 409, meaning: 'Nobody disables their own account; another administrator can.' },
  passkey_refused: {
    status: 401,
    meaning: 'The passkey is unknown, or what it signed is not what was asked of it just now.',
  },
  too_many: { status: 409, meaning: 'There are as many as there may be; `details.most` says how many.' },
  email_taken: { status: 409, meaning: 'An account with this e-mail address exists.' },
  already_exists: { status: 409, meaning: 'A thing with this name exists; `details` names the field.' },
  already_subscribed: { status: 409, meaning: 'The provider has a subscription to this level.' },
  paused_by_admin: { status: 409, meaning: 'An administrator paused the subscription; only they can resume it.' },
  filter_invalid: { status: 400, meaning: 'A filter rule is wrong; `details.at` is its path.' },
  invalid_state: { status: 409, meaning: 'Not possible in the present state, which `details.status` names.' },
  expired: { status: 410, meaning: 'The link or file has expired.' },
  already_resolved: {
    status: 409,
    meaning:
      'It is decided: `details` says by whom a dead letter was closed (restore it first), or what became of a report.',
  },
  plan_drifted: {
    status: 409,
    meaning:
      'What was planned is no longer so. Of a redrive, over a tenth of the items changed; `details` says by whom, and `accept_drift` skips those. Of a price or of leads to mark bad, anything: look again.',
  },
  already_refunded: { status: 409, meaning: 'The price of the assignment has come back before.' },
  report_window_closed: { status: 409, meaning: 'Bad leads are reported sooner; `details.closed_at` says until when.' },
  already_decided: { status: 409, meaning: 'The opposite was decided before.' },
  address_suppressed: {
    status: 409,
    meaning: 'The mailbox once refused a mail; `lift_suppression` tries it again.',
  },
  insufficient_balance: { status: 409, meaning: 'The balance does not cover the amount.' },
  amount_mismatch: { status: 409, meaning: 'The amount differs from that of the payment, which stays as it was.' },
  report_too_slow: { status: 400, meaning: 'The report took longer than 10 s; ask for a shorter time.' },
  not_ready: { status: 409, meaning: 'The file is not written yet; `details.status` says how far the export is.' },
  storage_unavailable: {
    status: 503,
    meaning: 'The place where files are kept does not answer, or has lost this one.',
  },
  signature_invalid: { status: 401, meaning: 'The signature of the webhook is wrong, or older than 5 minutes.' },
} as const;

export const refuse = refusals(errors);
