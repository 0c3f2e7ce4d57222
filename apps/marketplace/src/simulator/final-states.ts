import { type Queryable, sql } from '@fmhl/ops';
import type { History } from './history.ts';
import type { Provider, Subscription } from './market.ts';

const writtenAtOnce = 10_000;

/** Writes where accounts, subscriptions and levels stand at the end: what a history changes many times is written once. */
export async function writeFinalStates(tx: Queryable, { niches, providers }: History, now: number): Promise<void> {
  for (const some of chunksOf(providers)) await writeAccounts(tx, some);
  for (const some of chunksOf(providers.flatMap(({ subscriptions }) => subscriptions)))
    await writeSubscriptions(tx, some);
  const levels = niches.flatMap((niche) => niche.levels);
  await tx.query(sql`
    update level l set vclock = e.vclock
    from unnest(${levels.map(({ id }) => id)}::uuid[], ${levels.map(({ vclock }) => vclock)}::bigint[]) as e(id, vclock)
    where l.id = e.id`);
  const turned = niches.filter(({ nextStartOrd }) => nextStartOrd !== null);
  await tx.query(sql`
    insert into rotation (niche_id, next_start_ord, created_at, updated_at)
    select id, ord, ${moment(now)}::timestamptz, ${moment(now)}::timestamptz
    from unnest(${turned.map(({ id }) => id)}::uuid[], ${turned.map(({ nextStartOrd }) => nextStartOrd)}::int[]) as r(id, ord)`);
}

async function writeAccounts(tx: Queryable, providers: readonly Provider[]): Promise<void> {
  await tx.query(sql`
    update account a
    set balance_cents = e.balance, version = e.version, low_alerted_at = e.low_alerted_at, updated_at = e.updated_at
    from unnest(${providers.map(({ id }) => id)}::uuid[], ${providers.map(({ balance }) => balance)}::bigint[],
                ${providers.map(({ version }) => version)}::int[],
                ${providers.map(({ lowAlertedAt }) => moment(lowAlertedAt))}::timestamptz[],
                ${providers.map(({ updatedAt }) => moment(updatedAt))}::timestamptz[])
      as e(id, balance, version, low_alerted_at, updated_at)
    where a.provider_id = e.id`);
}

async function writeSubscriptions(tx: Queryable, all: readonly Subscription[]): Promise<void> {
  await tx.query(sql`
    update subscription s
    set status = e.status, status_ref = e.status_ref, vt = e.vt, day_key = e.day_key, day_n = e.day_n,
        last_served_at = e.last_served_at, updated_at = e.updated_at, version = e.version
    from unnest(${all.map(({ id }) => id)}::uuid[], ${all.map(({ status }) => status)}::text[],
                ${all.map(({ statusRef }) => statusRef)}::text[], ${all.map(({ vt }) => vt)}::bigint[],
                ${all.map(({ dayKey }) => dayKey)}::date[], ${all.map(({ dayN }) => dayN)}::int[],
                ${all.map(({ lastServedAt }) => moment(lastServedAt))}::timestamptz[],
                ${all.map(({ updatedAt }) => moment(updatedAt))}::timestamptz[], ${all.map(({ version }) => version)}::int[])
      as e(id, status, status_ref, vt, day_key, day_n, last_served_at, updated_at, version)
    where s.id = e.id`);
}

const moment = (at: number | null) => (at === null ? null : new Date(at).toISOString());

function* chunksOf<T>(items: readonly T[]): Generator<T[]> {
  for (let from = 0; from < items.length; from += writtenAtOnce) yield items.slice(from, from + writtenAtOnce);
}
