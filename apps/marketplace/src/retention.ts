import type { Database, TableRetention } from '@fmhl/ops';
import { removeEnded } from './features/accounts/index.ts';
import { removeOldSignIns } from './features/auth/index.ts';
import { removeOldExports } from './features/reports/index.ts';

const money = 'for ever: money';
const evidence = 'for ever: what was sold to whom, and why';
const withAccount = 'with the account it belongs to';
const catalogue = 'for ever: what leads and sales refer to';

/** Every table of the marketplace: after how many days its rows go, or why they stay. Those of the plane are in `opsTables`. */
export const marketplaceTables: readonly TableRetention[] = [
  { table: 'identity.session', days: 7, rule: 'after its end' },
  { table: 'identity.login_failure', days: 1, rule: 'after the attempt' },
  { table: 'identity.user_token', days: 7, rule: 'after its end' },
  { table: 'identity.api_token', days: 90, rule: 'after its end' },
  { table: 'identity.passkey_challenge', days: 0, rule: 'after its end' },
  { table: 'identity.users', days: null, rule: 'for ever: the audit log names them' },
  { table: 'identity.totp_secret', days: null, rule: withAccount },
  { table: 'identity.recovery_code', days: null, rule: withAccount },
  { table: 'identity.passkey', days: null, rule: withAccount },
  { table: 'public.export_job', days: 90, rule: 'after it was asked for; its file after a day' },
  { table: 'public.niche', days: null, rule: catalogue },
  { table: 'public.level', days: null, rule: catalogue },
  { table: 'public.provider', days: null, rule: catalogue },
  { table: 'public.subscription', days: null, rule: catalogue },
  { table: 'public.subscription_area', days: null, rule: 'with its subscription' },
  { table: 'public.rotation', days: null, rule: 'one row a subscription' },
  { table: 'public.lead', days: null, rule: 'for ever; the person may have it erased' },
  { table: 'public.lead_consent', days: null, rule: 'for ever: consents' },
  { table: 'public.lead_source', days: null, rule: 'one row a source' },
  { table: 'public.assignment', days: null, rule: evidence },
  { table: 'public.distribution_run', days: null, rule: evidence },
  { table: 'public.bad_lead_report', days: null, rule: evidence },
  { table: 'public.inbox_mark', days: null, rule: 'with its assignment' },
  { table: 'public.email', days: null, rule: 'for ever: each sale has its mail; erased with the lead' },
  { table: 'public.email_suppression', days: null, rule: 'until it is lifted' },
  { table: 'public.account', days: null, rule: money },
  { table: 'public.ledger_entry', days: null, rule: money },
  { table: 'public.payment', days: null, rule: money },
  { table: 'public.payment_event', days: null, rule: 'for ever: an event of a payment counts once' },
  { table: 'public.balance_correction', days: null, rule: money },
  { table: 'public.reconciliation_run', days: null, rule: money },
];

/** Rows of one kind in one statement. */
const limit = 5_000;

/** Removes rows of the marketplace after their time. Answers how many went; a signal stops it after the batch under way. */
export async function retainTables(
  db: Database,
  { now, signal }: { now: Date; signal: AbortSignal },
): Promise<Record<string, number>> {
  const counts = { session: 0, login_failure: 0, export_job: 0 };
  for (let more = true; more && !signal.aborted; ) {
    const { sessions, failures } = await removeOldSignIns(db, { now, limit });
    const exports = await removeOldExports(db, { now, limit });
    counts.session += sessions;
    counts.login_failure += failures;
    counts.export_job += exports;
    more = Math.max(sessions, failures, exports) >= limit;
  }
  return { ...counts, tokens_and_challenges: await removeEnded(db, now) };
}
