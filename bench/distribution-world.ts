/** Marketplaces of any size, made by a few set-based statements: same size, same shape. */
import { areaCodesOf } from '../apps/marketplace/src/features/subscriptions/index.ts';
import { type Database, type Queryable, sql } from '../packages/ops/src/postgres/index.ts';

export interface WorldSize {
  readonly providers: number;
  readonly subscriptions: number;
}

/** As many subscriptions a provider as in a grown market. */
export const sizeOf = (providers: number): WorldSize => ({ providers, subscriptions: Math.round(providers * 3.48) });

const niches = 20;

interface LevelShape {
  readonly niche: number;
  readonly ord: number;
  readonly name: string;
  readonly priceCents: number;
  readonly maxRecipients: number;
  /** Share of the subscriptions that are spread over these levels. */
  readonly share: number;
}

const offers = [
  { ord: 1, name: 'Exclusive', priceCents: 6_000, maxRecipients: 1, share: 0.25 },
  { ord: 2, name: 'Select', priceCents: 2_800, maxRecipients: 3, share: 0.35 },
  { ord: 3, name: 'Standard', priceCents: 1_500, maxRecipients: 5, share: 0.4 },
] as const;

const zipf = (rank: number) => 1 / rank;

/** Niche 1 has one level, to which every provider subscribes; the others have three each; the last is an orphan. */
const hotLevel: LevelShape = { ...offers[2], niche: 1, share: 0 };
const otherLevels: readonly LevelShape[] = Array.from({ length: niches - 1 }, (_, at) => at + 2).flatMap((niche) =>
  offers.map((offer) => ({ ...offer, niche, share: niche === niches ? 0.000_01 : offer.share * zipf(niche) })),
);

/** For `width_bucket`: the upper bounds of the shares, but for the last. */
function boundsOf(shares: readonly number[]): number[] {
  const total = shares.reduce((sum, share) => sum + share, 0);
  let so = 0;
  return shares.slice(0, -1).map((share) => (so += share) / total);
}

const leadBounds = boundsOf(Array.from({ length: niches }, (_, at) => (at === niches - 1 ? 0.01 : zipf(at + 1))));

/**
 * Fills an empty, migrated database. Half of the subscriptions cover a few postal prefixes, 35 % states, 15 % the whole country; prepaid
 * balances are log-normal around $150, one in ten below a lead's price; a third of the subscriptions filter by the form, a fifth have a
 * daily cap, a fifth another weight than 1. What a balance does not pay is paused.
 */
export async function buildWorld(db: Database, { providers, subscriptions }: WorldSize): Promise<void> {
  await db.transaction(async (tx) => {
    // References and copied areas are right by construction: triggers that see to it would double the time.
    await tx.query(sql`select setseed(0.42), set_config('session_replication_role', 'replica', true)`);
    await tx.query(sql`set local synchronous_commit = off`);
    await addPlaces(tx);
    await addCatalogue(tx);
    await addProviders(tx, providers);
    await drawSubscriptions(tx, { providers, others: subscriptions - providers });
    await drawAreas(tx);
    await addSubscriptions(tx);
  });
  // Not those that are empty still: nobody would have looked at them in production either.
  await db.query(
    sql`vacuum (analyze) bench_place, identity.users, niche, level, provider, account, ledger_entry, subscription, subscription_area`,
  );
  await db.query(sql`checkpoint`);
}

/** The postal prefixes by how many live there; tables of the benchmark's own. */
async function addPlaces(tx: Queryable): Promise<void> {
  const known = Array.from({ length: 1_000 }, (_, n) => areaCodesOf(`${String(n).padStart(3, '0')}01`)).filter(
    (areas) => areas.length === 4,
  );
  await tx.query(sql`
    create table bench_place as
    select (row_number() over (order by md5(prefix)))::int as n, state, prefix
    from unnest(${known.map((areas) => areas[2])}::text[], ${known.map((areas) => areas[3])}::text[]) as p(state, prefix)`);
}

/** A place: a few of them have most of the people. */
const somePlace = sql`1 + floor(power(random(), 2) * (select count(*) from bench_place))::int`;

async function addCatalogue(tx: Queryable): Promise<void> {
  await tx.query(sql`
    insert into niche (id, slug, name)
    select md5('niche-' || n)::uuid, 'niche-' || n, 'Niche ' || n from generate_series(1, ${niches}::int) n`);
  const levels = [hotLevel, ...otherLevels];
  await tx.query(sql`
    insert into level (id, niche_id, name, ord, price_cents, max_recipients)
    select md5('level-' || niche || '-' || ord)::uuid, md5('niche-' || niche)::uuid, name, ord, price, max
    from unnest(${levels.map((level) => level.niche)}::int[], ${levels.map((level) => level.name)}::text[],
                ${levels.map((level) => level.ord)}::int[], ${levels.map((level) => level.priceCents)}::bigint[],
                ${levels.map((level) => level.maxRecipients)}::int[]) as l(niche, name, ord, price, max)`);
}

/** Providers with their users, accounts and the entry that made the balance. */
async function addProviders(tx: Queryable, providers: number): Promise<void> {
  await tx.query(sql`
    insert into identity.users (id, email, email_norm, password_hash, display_name, role, email_verified_at)
    select md5('user-' || n)::uuid, 'p' || n || '@example.com', 'p' || n || '@example.com', 'none', 'Provider ' || n, 'provider', now()
    from generate_series(1, ${providers}::int) n`);
  await tx.query(sql`
    insert into provider (id, user_id, company, status, tz)
    select md5('provider-' || n)::uuid, md5('user-' || n)::uuid, 'Provider ' || n, 'active',
           (array['America/New_York', 'America/Chicago', 'America/Denver', 'America/Los_Angeles'])[1 + n % 4]
    from generate_series(1, ${providers}::int) n`);
  await tx.query(sql`
    insert into account (provider_id, balance_cents, version, low_balance_cents)
    select md5('provider-' || n)::uuid,
           case when random() < 0.1 then 1 + floor(random() * 1499) else ceil(15000 * exp(0.8 * random_normal())) end, 1, 2000
    from generate_series(1, ${providers}::int) n`);
  await tx.query(sql`
    insert into ledger_entry (provider_id, account_version, kind, amount_cents, balance_after_cents, actor, correlation_id)
    select provider_id, 1, 'manual_credit', balance_cents, balance_cents, 'system', 'bench' from account`);
}

/** Who subscribes to what. */
async function drawSubscriptions(
  tx: Queryable,
  { providers, others }: { providers: number; others: number },
): Promise<void> {
  const levelIds = sql`
    (select array_agg(md5('level-' || niche || '-' || ord)::uuid order by nth)
     from unnest(${otherLevels.map((level) => level.niche)}::int[], ${otherLevels.map((level) => level.ord)}::int[])
       with ordinality as l(niche, ord, nth))`;
  await tx.query(sql`
    create temp table bench_drawn on commit drop as
    with draw as materialized (
      select 1 + floor(random() * ${providers}::int)::int as n,
             1 + width_bucket(random(), ${boundsOf(otherLevels.map((level) => level.share))}::float8[]) as nth
      from generate_series(1, ${others * 2}::int)),
    other as (select n, nth from (select distinct n, nth from draw) d order by random() limit ${others}::int),
    drawn as (
      select n, md5('level-1-3')::uuid as level_id from generate_series(1, ${providers}::int) n
      union all
      select n, (${levelIds})[nth] from other)
    select gen_random_uuid() as id, md5('provider-' || n)::uuid as provider_id, level_id, random() as r from drawn`);
}

/** Where they buy: 15 % everywhere, 35 % in one to four states, half around one to four prefixes. */
async function drawAreas(tx: Queryable): Promise<void> {
  await tx.query(sql`
    create temp table bench_coverage on commit drop as
    with pick as materialized (
      select id, r < 0.5 as is_state, ${somePlace} as n
      from (select id, r, 1 + floor(random() * 4)::int as many from bench_drawn where r >= 0.15) d, generate_series(1, many))
    select p.id, array_agg(distinct case when is_state then b.state else b.prefix end) as areas
    from pick p join bench_place b using (n) group by p.id
    union all
    select id, array['*'] from bench_drawn where r < 0.15`);
}

async function addSubscriptions(tx: Queryable): Promise<void> {
  await tx.query(sql`
    insert into subscription (id, provider_id, level_id, status, filter_rules, weight, daily_cap, areas)
    select d.id, d.provider_id, d.level_id, case when a.balance_cents >= l.price_cents then 'active' else 'paused_funds' end,
           case when random() < 0.15 then jsonb_build_array(
                  jsonb_build_object('field', 'budget', 'op', 'gte', 'value', floor(random() * 8000)))
                when random() < 0.2 then
                  '[{"field": "kind", "op": "in", "value": ["home", "office"]}, {"field": "urgent", "op": "exists", "value": true}]'
           end,
           case when random() < 0.2 then 1 + floor(random() * 10)::int else 1 end,
           case when random() < 0.2 then 2 + floor(random() * 18)::int end, c.areas
    from bench_drawn d
    join bench_coverage c using (id)
    join account a on a.provider_id = d.provider_id
    join level l on l.id = d.level_id`);
  await tx.query(sql`
    insert into subscription_area (subscription_id, level_id, area)
    select d.id, d.level_id, unnest(c.areas) from bench_drawn d join bench_coverage c using (id)`);
}

/** The niche whose one level has every provider. */
export const hotNiche = 1;

/** Approved leads whose sale a worker has just begun; by Zipf over the niches unless one is named. Answers their ids, in no order. */
export async function addLeads(db: Database, { count, niche }: { count: number; niche?: number }): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(sql`
    with wish as materialized (
      select gen_random_uuid() as id,
             coalesce(${niche ?? null}::int, 1 + width_bucket(random(), ${leadBounds}::float8[])) as niche, ${somePlace} as n
      from generate_series(1, ${count}::int) n),
    made as (
      insert into lead (id, niche_id, status, name, email, area_codes, form, correlation_id, confirm_expires_at, confirmed_at,
                        approved_by, approved_at, sale_no)
      select w.id, md5('niche-' || w.niche)::uuid, 'approved', 'Test Person', 'person-' || w.id || '@example.com',
             array['*', 'US', p.state, p.prefix],
             jsonb_build_object('budget', floor(random() * 10000), 'kind', (array['home', 'office', 'farm'])[1 + floor(random() * 3)::int])
               || case when random() < 0.5 then '{"urgent": true}'::jsonb else '{}' end,
             'lead-' || w.id, now() + interval '1 day', now(), 'bench', now(), 1
      from wish w join bench_place p on p.n = w.n
      returning id, correlation_id),
    begun as (
      insert into ops.job_run (run_key, root_key, queue, kind, started, max_attempts, last_started_at, correlation_id)
      select 'distribute-' || id || '-1', 'distribute-' || id || '-1', 'distribute_lead', 'distribute_lead', 1, 5, now(), correlation_id
      from made returning run_key, queue),
    handed as (
      insert into ops.job_outbox (run_key, queue, envelope, dispatched_at, dispatches)
      select run_key, queue, '{}', now(), 1 from begun)
    select id from made order by id`);
  return rows.map(({ id }) => id);
}
