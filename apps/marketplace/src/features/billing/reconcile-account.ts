import { type Actor, appendEvents, audit, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { providerExists } from './queries.ts';
import { amounts, eventsOf, reevaluate, tellLow } from './reconcile-balances.ts';
import {
  type AccountFinding,
  closeCase,
  insertCorrections,
  lockFindings,
  setToLedger,
} from './reconciliation-queries.ts';

export interface Reconciled {
  beforeCents: number;
  afterCents: number;
  /** False when the balance was that of the ledger, and no case was open. */
  changed: boolean;
  /** The case that this closed. */
  closedCaseId: string | null;
  resumed: number;
  paused: number;
}

/**
 * Sets a balance to the sum of its ledger because a person says so, whatever the difference, and closes the account's case.
 * Refuses `not_found`, and `invalid_state` when the ledger itself is below zero: then entries are missing, and money by hand comes first.
 */
export async function reconcileAccount(
  tx: Tx,
  { providerId, memo, actor }: { providerId: string; memo: string; actor: Actor },
  { log }: { log: Log },
): Promise<Reconciled> {
  if (!(await providerExists(tx, providerId))) throw refuse('not_found');
  const [finding] = await lockFindings(tx, [providerId]);
  if (!finding) return { beforeCents: 0, afterCents: 0, changed: false, closedCaseId: null, resumed: 0, paused: 0 };
  const { cachedCents, ledgerCents } = finding;
  if (ledgerCents < 0) throw refuse('invalid_state', { status: 'ledger_below_zero', ledger_cents: ledgerCents });
  const isSound = cachedCents === ledgerCents && finding.brokenVersion === null;
  const moved = isSound ? { resumed: 0, paused: 0 } : await settle(tx, finding, { memo, actor });
  const closedCaseId = (await closeCase(tx, { providerId, actor: actor.id, memo })) ?? null;
  if (isSound && closedCaseId === null) return answer(finding, { changed: false, closedCaseId, ...moved });
  await audit(tx, {
    actor,
    action: 'billing.account_reconciled',
    targetType: 'provider',
    targetId: providerId,
    reason: memo,
    details: { case_id: closedCaseId, ...amounts(finding) },
  });
  tx.afterCommit(() =>
    log.warn('balance_reconciled', { provider_id: providerId, case_id: closedCaseId, ...amounts(finding) }),
  );
  return answer(finding, { changed: true, closedCaseId, ...moved });
}

async function settle(tx: Tx, finding: AccountFinding, { memo, actor }: { memo: string; actor: Actor }) {
  const accounts = await setToLedger(tx, [finding]);
  const cause = finding.brokenVersion === null ? 'difference' : 'broken_chain';
  const draft = { finding, action: 'reconciled', cause } as const;
  const records = await insertCorrections(tx, [draft], { runId: null, actor: actor.id, memo });
  await appendEvents(tx, eventsOf('balance.corrected', records, new Map([[finding.providerId, finding]])));
  await tellLow(tx, accounts, records);
  return reevaluate(tx, [finding], records[0]?.id ?? '');
}

function answer(
  { cachedCents, ledgerCents }: AccountFinding,
  rest: Pick<Reconciled, 'changed' | 'closedCaseId' | 'resumed' | 'paused'>,
): Reconciled {
  return { beforeCents: cachedCents, afterCents: ledgerCents, ...rest };
}
