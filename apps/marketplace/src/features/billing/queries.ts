import { currentContext, prepared, type Queryable, type Sql, sql } from '@fmhl/ops';
import { crossedLow, lowAlertAfter } from './charge.ts';

export type EntryKind = 'deposit' | 'lead_charge' | 'lead_refund' | 'manual_credit' | 'manual_debit';
export type PaymentStatus = 'pending' | 'succeeded' | 'failed' | 'expired';

/** A new entry and the account it left behind. */
export interface PostedEntry {
  id: string;
  created_at: Date;
  version: number;
  balance_cents: number;
  low_balance_cents: number | null;
  crossed_low: boolean;
  /** The provider's mail address. */
  email: string;
}

export interface EntryFact {
  providerId: string;
  kind: EntryKind;
  /** Negative takes money. */
  amountCents: number;
  actor: string;
  memo?: string | undefined;
  paymentId?: string | undefined;
}

/** Adds money and its entry. Makes the account when it is the first. */
export async function postCredit(tx: Queryable, fact: EntryFact): Promise<PostedEntry> {
  const account = sql`
    insert into account (provider_id, balance_cents, version) values (${fact.providerId}, ${fact.amountCents}, 1)
    on conflict (provider_id) do update
    set balance_cents = account.balance_cents + excluded.balance_cents, version = account.version + 1,
        updated_at = clock_timestamp(),
        low_alerted_at = case when account.balance_cents + excluded.balance_cents < account.low_balance_cents
                              then account.low_alerted_at end
    returning provider_id, balance_cents, version, low_balance_cents, false as crossed_low`;
  const [entry] = await postEntry(tx, account, fact);
  if (!entry) throw new Error('a credit wrote no entry');
  return entry;
}

/** Takes money and writes its entry; undefined (and nothing written) when the balance does not cover it. */
export async function postDebit(tx: Queryable, fact: EntryFact): Promise<PostedEntry | undefined> {
  const after = sql`a.balance_cents + ${fact.amountCents}::bigint`;
  const account = sql`
    update account a
    set balance_cents = ${after}, version = a.version + 1, updated_at = clock_timestamp(),
        low_alerted_at = ${lowAlertAfter(after, sql`a`)}
    where a.provider_id = ${fact.providerId} and ${after} >= 0
    returning a.provider_id, a.balance_cents, a.version, a.low_balance_cents, ${crossedLow(sql`a`)} as crossed_low`;
  const [entry] = await postEntry(tx, account, fact);
  return entry;
}

async function postEntry(tx: Queryable, account: Sql, fact: EntryFact): Promise<PostedEntry[]> {
  const { rows } = await tx.query<PostedEntry>(sql`
    with acc as (${account}),
    ent as (
      insert into ledger_entry (provider_id, account_version, kind, amount_cents, balance_after_cents, payment_id, actor, memo,
                                correlation_id)
      select provider_id, version, ${fact.kind}, ${fact.amountCents}, balance_cents, ${fact.paymentId ?? null}::uuid,
             ${fact.actor}, ${fact.memo ?? null}, ${currentContext()?.correlationId ?? 'none'}
      from acc
      returning id, created_at)
    select ent.id, ent.created_at, acc.version, acc.balance_cents, acc.low_balance_cents, acc.crossed_low, c.email
    from ent, acc join v_provider_contact c on c.provider_id = acc.provider_id`);
  return rows;
}

export interface Payment {
  id: string;
  provider_id: string;
  gateway: string | null;
  external_id: string | null;
  amount_cents: number;
  status: PaymentStatus;
  created_at: Date;
}

const paymentColumns = sql`id, provider_id, gateway, external_id, amount_cents, status, created_at`;

export async function insertPayment(tx: Queryable, providerId: string, amountCents: number): Promise<Payment> {
  const { rows } = await tx.query<Payment>(sql`
    insert into payment (provider_id, amount_cents, status) values (${providerId}, ${amountCents}, 'pending')
    returning ${paymentColumns}`);
  return rows[0] as Payment;
}

export async function lockPayment(tx: Queryable, paymentId: string): Promise<Payment | undefined> {
  const { rows } = await tx.query<Payment>(
    sql`select ${paymentColumns} from payment where id = ${paymentId} for no key update`,
  );
  return rows[0];
}

/** How many payments of a provider wait for the gateway. Until the commit nobody else counts them. */
export async function countPendingLocked(tx: Queryable, providerId: string): Promise<number> {
  await tx.query(sql`select pg_advisory_xact_lock(hashtext('payment_pending'), hashtext(${providerId}))`);
  const { rows } = await tx.query<{ pending: number }>(
    sql`select count(*)::int as pending from payment where provider_id = ${providerId} and status = 'pending'`,
  );
  return rows[0]?.pending ?? 0;
}

/**
 * Ends a payment under the gateway's own id: one that is pending, or expired without a word of the gateway. Undefined when it has another
 * ending, or the id belongs to another payment.
 */
export async function endPayment(
  tx: Queryable,
  end: { paymentId: string; gateway: string; externalId: string; status: PaymentStatus },
): Promise<Payment | undefined> {
  const { rows } = await tx.query<Payment>(sql`
    update payment set status = ${end.status}, gateway = ${end.gateway}, external_id = ${end.externalId},
                       version = version + 1, updated_at = clock_timestamp()
    where id = ${end.paymentId} and (status = 'pending' or (status = 'expired' and gateway is null))
      and not exists (select from payment where gateway = ${end.gateway} and external_id = ${end.externalId}
                                            and id <> ${end.paymentId})
    returning ${paymentColumns}`);
  return rows[0];
}

/** What a gateway tells of a payment under an id of its own. */
export interface PaymentTelling {
  gateway: string;
  eventId: string;
  paymentId: string;
  status: PaymentStatus;
  bodySha256: Buffer;
}

/** What was told under this id before. */
export async function readTelling(
  tx: Queryable,
  { gateway, eventId }: Pick<PaymentTelling, 'gateway' | 'eventId'>,
): Promise<{ payment_id: string; body_sha256: Buffer } | undefined> {
  const { rows } = await tx.query<{ payment_id: string; body_sha256: Buffer }>(
    sql`select payment_id, body_sha256 from payment_event where gateway = ${gateway} and event_id = ${eventId}`,
  );
  return rows[0];
}

/** False when something was told under this id before. */
export async function insertTelling(tx: Queryable, telling: PaymentTelling & { changed: boolean }): Promise<boolean> {
  const { gateway, eventId, paymentId, status, bodySha256, changed } = telling;
  const { rowCount } = await tx.query(sql`
    insert into payment_event (gateway, event_id, payment_id, status, body_sha256, changed)
    values (${gateway}, ${eventId}, ${paymentId}, ${status}, ${bodySha256}, ${changed})
    on conflict (gateway, event_id) do nothing`);
  return rowCount === 1;
}

export interface Balance {
  balance_cents: number;
  low_balance_cents: number | null;
  /** Deposits that wait for the gateway. */
  pending_cents: number;
}

/** Zeros for a provider who never had money. */
export async function readBalance(db: Queryable, providerId: string): Promise<Balance> {
  const { rows } = await db.query<Balance>(
    prepared(
      'balance',
      sql`
        select coalesce(a.balance_cents, 0) as balance_cents, a.low_balance_cents,
               coalesce((select sum(amount_cents) from payment where provider_id = p.id and status = 'pending'), 0)::bigint
                 as pending_cents
        from (values (${providerId}::uuid)) as p(id) left join account a on a.provider_id = p.id`,
    ),
  );
  return rows[0] as Balance;
}

export interface LedgerEntry {
  id: string;
  account_version: number;
  kind: EntryKind;
  amount_cents: number;
  balance_after_cents: number;
  assignment_id: string | null;
  payment_id: string | null;
  created_at: Date;
}

/** The entries of one account, newest first, below `before` (an account version). */
export async function listEntries(
  db: Queryable,
  { providerId, before, limit }: { providerId: string; before: number | undefined; limit: number },
): Promise<LedgerEntry[]> {
  const { rows } = await db.query<LedgerEntry>(
    prepared(
      'balance_entries',
      sql`
        select id, account_version, kind, amount_cents, balance_after_cents, assignment_id, payment_id, created_at
        from ledger_entry
        where provider_id = ${providerId} and account_version < ${before ?? 2_147_483_647}::int
        order by account_version desc
        limit ${limit}::int`,
    ),
  );
  return rows;
}

/** Sets the threshold; a balance that is not below it counts as not yet noted. */
export async function updateLowBalance(tx: Queryable, providerId: string, cents: number | null): Promise<void> {
  await tx.query(sql`
    insert into account (provider_id, low_balance_cents) values (${providerId}, ${cents})
    on conflict (provider_id) do update
    set low_balance_cents = excluded.low_balance_cents, updated_at = clock_timestamp(),
        low_alerted_at = case when account.balance_cents < excluded.low_balance_cents then account.low_alerted_at end`);
}

export async function providerExists(db: Queryable, providerId: string): Promise<boolean> {
  const { rowCount } = await db.query(sql`select from v_provider where id = ${providerId}`);
  return rowCount === 1;
}
