/** What the schedules of money find in a market: subscriptions that sleep though they are paid for, and a ledger of twenty entries a provider. */
import { type Database, sql } from '../packages/ops/src/postgres/index.ts';

/** Puts about `count` active subscriptions to sleep, all those of some providers, as a top-up would find them. Answers how many, of whom. */
export async function putToSleep(db: Database, count: number): Promise<{ subscriptions: number; providers: number }> {
  const { rows } = await db.query<{ subscriptions: number; providers: number }>(sql`
    with slept as (
      update subscription s set status = 'paused_funds'
      from (select id from (select id, row_number() over (order by md5(provider_id::text), id) as nth
                            from subscription where status = 'active') a
            where nth <= ${count}::int) p
      where s.id = p.id
      returning s.id, s.provider_id)
    select count(*)::int as subscriptions, count(distinct provider_id)::int as providers from slept`);
  await db.query(sql`vacuum (analyze) subscription`);
  return rows[0] ?? { subscriptions: 0, providers: 0 };
}

/** Gives each account, which has one entry, so many that follow from one another. Answers how many there are. */
export async function lengthenLedger(db: Database, entriesEach: number): Promise<number> {
  await db.transaction(async (tx) => {
    await tx.query(sql`set local session_replication_role = replica`);
    await tx.query(sql`set local synchronous_commit = off`);
    // A credit and a debit of a dollar in turn, so that the last leaves what the first found or a dollar more.
    await tx.query(sql`
      insert into ledger_entry (provider_id, account_version, kind, amount_cents, balance_after_cents, actor, correlation_id)
      select a.provider_id, a.version + n, case when n % 2 = 1 then 'manual_credit' else 'manual_debit' end,
             case when n % 2 = 1 then 100 else -100 end, a.balance_cents + 100 * (n % 2), 'system', 'bench'
      from account a, generate_series(1, ${entriesEach}::int) n`);
    await tx.query(sql`
      update account set version = version + ${entriesEach}::int, balance_cents = balance_cents + 100 * (${entriesEach}::int % 2)`);
  });
  await db.query(sql`vacuum (analyze) account, ledger_entry`);
  await db.query(sql`checkpoint`);
  const { rows } = await db.query<{ entries: number }>(sql`select count(*)::int as entries from ledger_entry`);
  return rows[0]?.entries ?? 0;
}

/** Moves some balances by hand: `small` by 37 cents, `large` by 40 dollars. */
export async function driftSome(db: Database, { small, large }: { small: number; large: number }): Promise<void> {
  await db.query(sql`
    update account a set balance_cents = balance_cents + case when p.nth <= ${small}::int then 37 else 4000 end
    from (select provider_id, row_number() over (order by md5(provider_id::text)) as nth from account) p
    where p.provider_id = a.provider_id and p.nth <= ${small + large}::int`);
}
