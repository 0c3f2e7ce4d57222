import {
  type Actor,
  appendEvents,
  currentContext,
  type EventDraft,
  prepared,
  type Queryable,
  type Sql,
  sql,
  type Tx,
} from '@fmhl/ops';
import type { ProductMetrics } from '../../metrics.ts';
import { resumeFunded } from '../subscriptions/index.ts';
import { type BillingDeps, measured } from './measure.ts';

export interface RefundDeps extends BillingDeps {
  readonly metrics: BillingDeps['metrics'] & Pick<ProductMetrics, 'refundsApproved'>;
}

export interface RefundInput {
  /** Marks assignments refunded, each once, and answers `id` and `provider_id` of those it marked. Of one provider at most one. */
  readonly marked: Sql;
  /** What it comes back for, an assignment or a lead: those who wake by the money are told of it. */
  readonly ref: string;
  readonly memo: string;
  readonly actor: Actor;
}

/** One refund and the account it left behind. */
export interface Refund {
  assignment_id: string;
  provider_id: string;
  entry_id: string;
  /** What was charged. */
  amount_cents: number;
  balance_cents: number;
  version: number;
  /** The provider's mail address. */
  email: string;
}

/**
 * Gives back what the marked assignments were charged, and resumes the subscriptions which that pays. Mark, credit and entry are one
 * statement: whole, and at most once. Answers the refunds by provider; none when all were refunded before.
 * Throws, so that the caller's transaction rolls back, when a marked assignment has no charge to give back.
 */
export async function refund(tx: Tx, input: RefundInput, deps: RefundDeps): Promise<Refund[]> {
  return measured(tx, 'refund', deps, async () => {
    const rows = await postRefunds(tx, input);
    const astray = rows.filter((row) => row.entry_id === null);
    if (astray.length > 0) throw new Error(`refund_mismatch: ${astray.length} of ${rows.length} were not credited`);
    const refunds = rows as Refund[];
    await appendEvents(tx, refunds.map(refundedEvent));
    if (refunds.length > 0) tx.wake('events');
    const providerIds = refunds.map((one) => one.provider_id);
    await resumeFunded(tx, { providerIds, cause: 'lead_refund', ref: input.ref });
    tx.afterCommit(() => report(refunds, deps));
    return refunds;
  });
}

type Posted = Omit<Refund, 'entry_id'> & { entry_id: string | null };

/** Accounts are locked in the order of their providers, as everywhere. The amount is that of the charge, whatever the price is now. */
async function postRefunds(tx: Queryable, { marked, memo, actor }: RefundInput): Promise<Posted[]> {
  const { rows } = await tx.query<Posted>(
    prepared(
      'refund',
      sql`
        with ref as (${marked}),
        owed as (
          select e.assignment_id, e.provider_id, -e.amount_cents as cents
          from ref join ledger_entry e on e.assignment_id = ref.id and e.provider_id = ref.provider_id
          where e.kind = 'lead_charge'),
        locked as materialized (
          select provider_id from account where provider_id in (select provider_id from owed)
          order by provider_id for no key update),
        acc as (
          update account a
          set balance_cents = a.balance_cents + o.cents, version = a.version + 1, updated_at = clock_timestamp(),
              low_alerted_at = case when a.balance_cents + o.cents < a.low_balance_cents then a.low_alerted_at end
          from locked l join owed o using (provider_id)
          where a.provider_id = l.provider_id
          returning a.provider_id, a.balance_cents, a.version, o.assignment_id, o.cents),
        ent as (
          insert into ledger_entry (provider_id, account_version, kind, amount_cents, balance_after_cents, assignment_id, actor,
                                    memo, correlation_id)
          select provider_id, version, 'lead_refund', cents, balance_cents, assignment_id, ${actor.id}, ${memo},
                 ${currentContext()?.correlationId ?? 'none'}
          from acc
          returning id, assignment_id)
        select ref.id as assignment_id, ref.provider_id, ent.id as entry_id, acc.cents as amount_cents, acc.balance_cents,
               acc.version, c.email
        from ref
        join v_provider_contact c using (provider_id)
        left join ent on ent.assignment_id = ref.id
        left join acc on acc.assignment_id = ref.id
        order by ref.provider_id`,
    ),
  );
  return rows;
}

function refundedEvent(one: Refund): EventDraft {
  return {
    stream: 'billing',
    type: 'balance.refunded',
    aggregateType: 'account',
    aggregateId: one.provider_id,
    aggregateVersion: one.version,
    payload: {
      provider_id: one.provider_id,
      entry_id: one.entry_id,
      amount_cents: one.amount_cents,
      balance_after_cents: one.balance_cents,
      assignment_id: one.assignment_id,
    },
  };
}

function report(refunds: readonly Refund[], { metrics, log }: RefundDeps): void {
  metrics.refundsApproved.inc(refunds.length);
  for (const { provider_id, entry_id, assignment_id, amount_cents } of refunds) {
    log.info('balance_credited', { provider_id, entry_id, assignment_id, kind: 'lead_refund', amount_cents });
  }
}
