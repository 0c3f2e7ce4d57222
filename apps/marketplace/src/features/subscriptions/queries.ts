import { prepared, type Queryable, sql } from '@fmhl/ops';
import type { FilterRule, FormSchema, SubscriptionStatus } from './contract.ts';

export type ProviderStatus = 'pending' | 'active' | 'suspended' | 'closed';

export interface ProviderRow {
  id: string;
  user_id: string;
  company: string;
  tz: string;
  status: ProviderStatus;
  status_memo: string | null;
  version: number;
  created_at: Date;
  email: string;
  email_verified: boolean;
  balance_cents: number;
  low_balance_cents: number | null;
  /** Of `created_at`, to the microsecond. */
  position: string;
}

const providers = sql`
  select p.id, p.user_id, p.company, p.tz, p.status, p.status_memo, p.version, p.created_at, p.created_at::text as position,
         u.email, u.email_verified_at is not null as email_verified,
         coalesce(a.balance_cents, 0) as balance_cents, a.low_balance_cents
  from provider p
  join v_user u on u.id = p.user_id
  left join v_account a on a.provider_id = p.id`;

export async function providerOfUser(db: Queryable, userId: string): Promise<ProviderRow | undefined> {
  const { rows } = await db.query<ProviderRow>(sql`${providers} where p.user_id = ${userId}`);
  return rows[0];
}

export async function providerById(db: Queryable, id: string): Promise<ProviderRow | undefined> {
  const { rows } = await db.query<ProviderRow>(sql`${providers} where p.id = ${id}`);
  return rows[0];
}

/** Providers, newest first, behind `after` (a moment and an id). */
export async function listProviders(
  db: Queryable,
  {
    status,
    after,
    limit,
  }: { status: ProviderStatus | undefined; after: readonly [string, string] | undefined; limit: number },
): Promise<ProviderRow[]> {
  const { rows } = await db.query<ProviderRow>(sql`
    ${providers}
    where true ${status === undefined ? sql`` : sql`and p.status = ${status}`}
      ${after ? sql`and (p.created_at, p.id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
    order by p.created_at desc, p.id desc limit ${limit}`);
  return rows;
}

export interface ProviderDraft {
  userId: string;
  company: string;
  tz: string;
  status: 'pending' | 'active';
}

export async function insertProvider(tx: Queryable, draft: ProviderDraft): Promise<string> {
  const { rows } = await tx.query<{ id: string }>(sql`
    insert into provider (user_id, company, tz, status)
    values (${draft.userId}, ${draft.company}, ${draft.tz}, ${draft.status}) returning id`);
  return (rows[0] as { id: string }).id;
}

/** False when the version is no longer the one seen. */
export async function updateProvider(
  tx: Queryable,
  { id, version, company, tz }: { id: string; version: number; company: string; tz: string },
): Promise<boolean> {
  const { rowCount } = await tx.query(sql`
    update provider set company = ${company}, tz = ${tz}, version = version + 1, updated_at = clock_timestamp()
    where id = ${id} and version = ${version}`);
  return rowCount === 1;
}

/** True when Postgres does not know the time zone of a row it was given. */
export function isUnknownTimeZone(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === '22023';
}

/**
 * What a provider can pay. The account stays locked to the end of the transaction, so that a decision by it cannot cross a charge
 * or a credit.
 */
export async function lockBalance(tx: Queryable, providerId: string): Promise<number> {
  const { rows } = await tx.query<{ balance_cents: number }>(
    sql`select balance_cents from v_account where provider_id = ${providerId} for no key update`,
  );
  return rows[0]?.balance_cents ?? 0;
}

/** What a subscription to a level must fit. */
export interface LevelTerms {
  status: 'active' | 'retired';
  price_cents: number;
  form_schema: FormSchema;
}

export async function levelTerms(db: Queryable, levelId: string): Promise<LevelTerms | undefined> {
  const { rows } = await db.query<LevelTerms>(sql`
    select l.status, l.price_cents, n.form_schema from level l join niche n on n.id = l.niche_id where l.id = ${levelId}`);
  return rows[0];
}

export interface SubscriptionRow {
  id: string;
  provider_id: string;
  niche: string;
  level_id: string;
  level: string;
  price_cents: number;
  status: SubscriptionStatus;
  areas: string[];
  filter_rules: FilterRule[] | null;
  weight: number;
  daily_cap: number | null;
  last_served_at: Date | null;
  version: number;
  created_at: Date;
  position: string;
}

const subscriptions = sql`
  select s.id, s.provider_id, n.slug as niche, s.level_id, l.name as level, l.price_cents, s.status,
         array(select a.area from subscription_area a where a.subscription_id = s.id order by a.area) as areas,
         s.filter_rules, s.weight, s.daily_cap, s.last_served_at, s.version, s.created_at, s.created_at::text as position
  from subscription s
  join level l on l.id = s.level_id
  join niche n on n.id = l.niche_id`;

export async function subscriptionById(db: Queryable, id: string): Promise<SubscriptionRow | undefined> {
  const { rows } = await db.query<SubscriptionRow>(sql`${subscriptions} where s.id = ${id}`);
  return rows[0];
}

/** The row of this provider, locked until the end of the transaction. */
export async function lockSubscription(
  tx: Queryable,
  { id, providerId }: { id: string; providerId: string },
): Promise<SubscriptionRow | undefined> {
  const { rows } = await tx.query<SubscriptionRow>(sql`
    ${subscriptions} where s.id = ${id} and s.provider_id = ${providerId} for no key update of s`);
  return rows[0];
}

/** Subscriptions of a provider, newest first, cancelled ones too. */
export async function listSubscriptions(
  db: Queryable,
  { providerId, after, limit }: { providerId: string; after: readonly [string, string] | undefined; limit: number },
): Promise<SubscriptionRow[]> {
  const { rows } = await db.query<SubscriptionRow>(sql`
    ${subscriptions}
    where s.provider_id = ${providerId}
      ${after ? sql`and (s.created_at, s.id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
    order by s.created_at desc, s.id desc limit ${limit}`);
  return rows;
}

export interface SubscriptionDraft {
  providerId: string;
  levelId: string;
  status: 'active' | 'paused_funds';
  areas: readonly string[];
  filterRules: readonly FilterRule[] | null;
  weight: number;
  dailyCap: number | null;
}

/** The new id, or undefined when the provider has a subscription to the level. It enters the order at the level's clock. */
export async function insertSubscription(tx: Queryable, draft: SubscriptionDraft): Promise<string | undefined> {
  const { rows } = await tx.query<{ id: string }>(sql`
    with made as (
      insert into subscription (provider_id, level_id, status, filter_rules, weight, daily_cap, vt)
      select ${draft.providerId}::uuid, l.id, ${draft.status}, ${jsonOf(draft.filterRules)}::jsonb, ${draft.weight}::int,
             ${draft.dailyCap}::int, l.vclock
      from level l where l.id = ${draft.levelId}
      on conflict (provider_id, level_id) where status <> 'cancelled' do nothing
      returning id, level_id),
    placed as (
      insert into subscription_area (level_id, area, subscription_id)
      select level_id, unnest(${draft.areas}::text[]), id from made)
    select id from made`);
  return rows[0]?.id;
}

export interface SubscriptionUpdate {
  id: string;
  status: SubscriptionStatus;
  ref: string;
  filterRules: readonly FilterRule[] | null;
  dailyCap: number | null;
}

/** Writes the changed columns of a locked row. Whoever enters `active` stands at the level's clock at least: rest earns no credit. */
export async function updateSubscription(tx: Queryable, update: SubscriptionUpdate): Promise<void> {
  await tx.query(sql`
    update subscription s
    set status = ${update.status},
        status_ref = case when s.status = ${update.status} then s.status_ref else ${update.ref} end,
        vt = case when ${update.status} = 'active' and s.status <> 'active' then greatest(s.vt, l.vclock) else s.vt end,
        filter_rules = ${jsonOf(update.filterRules)}::jsonb, daily_cap = ${update.dailyCap}::int,
        version = s.version + 1, updated_at = clock_timestamp()
    from level l
    where s.id = ${update.id} and l.id = s.level_id`);
}

export async function replaceAreas(
  tx: Queryable,
  { id, levelId, areas }: { id: string; levelId: string; areas: readonly string[] },
): Promise<void> {
  await tx.query(sql`delete from subscription_area where subscription_id = ${id} and area <> all (${areas}::text[])`);
  await tx.query(sql`
    insert into subscription_area (level_id, area, subscription_id)
    select ${levelId}::uuid, unnest(${areas}::text[]), ${id}::uuid on conflict do nothing`);
}

const jsonOf = (rules: readonly FilterRule[] | null) => (rules === null ? null : JSON.stringify(rules));

/** Subscriptions of one provider that changed together. */
export interface Turned {
  provider_id: string;
  ids: string[];
  email: string;
}

/** Resumes what the providers' balances pay, in the order of ids. */
export async function resumeFundedOf(
  tx: Queryable,
  { providerIds, ref }: { providerIds: readonly string[]; ref: string },
): Promise<Turned[]> {
  const { rows } = await tx.query<Turned>(
    prepared(
      'resume_funded',
      sql`
        with funded as materialized (
          select s.id, l.vclock from subscription s
          join level l on l.id = s.level_id
          join v_account a on a.provider_id = s.provider_id
          where s.provider_id = any(${providerIds}::uuid[]) and s.status = 'paused_funds' and a.balance_cents >= l.price_cents
          order by s.id for no key update of s),
        resumed as (
          update subscription s
          set status = 'active', status_ref = ${ref}, vt = greatest(s.vt, f.vclock), version = s.version + 1,
              updated_at = clock_timestamp()
          from funded f where s.id = f.id and s.status = 'paused_funds'
          returning s.id, s.provider_id)
        select r.provider_id, array_agg(r.id order by r.id) as ids, c.email
        from resumed r join v_provider_contact c using (provider_id)
        group by r.provider_id, c.email order by r.provider_id`,
    ),
  );
  return rows;
}

/** Pauses what the providers' balances do not pay, in the order of ids. */
export async function pauseUnfundedOf(
  tx: Queryable,
  { providerIds, ref }: { providerIds: readonly string[]; ref: string },
): Promise<Turned[]> {
  const { rows } = await tx.query<Turned>(
    prepared(
      'pause_unfunded',
      sql`
        with unfunded as materialized (
          select s.id from subscription s
          join level l on l.id = s.level_id
          left join v_account a on a.provider_id = s.provider_id
          where s.provider_id = any(${providerIds}::uuid[]) and s.status = 'active'
            and l.price_cents > coalesce(a.balance_cents, 0)
          order by s.id for no key update of s),
        paused as (
          update subscription s
          set status = 'paused_funds', status_ref = ${ref}, version = s.version + 1, updated_at = clock_timestamp()
          from unfunded u where s.id = u.id and s.status = 'active'
          returning s.id, s.provider_id)
        select p.provider_id, array_agg(p.id order by p.id) as ids, c.email
        from paused p join v_provider_contact c using (provider_id)
        group by p.provider_id, c.email order by p.provider_id`,
    ),
  );
  return rows;
}

/** Pauses every active subscription of a level whose provider cannot pay `priceCents`, in one statement. Answers how many, and some ids. */
export async function pauseUnfundedAt(
  tx: Queryable,
  { levelId, priceCents, ref, named }: { levelId: string; priceCents: number; ref: string; named: number },
): Promise<{ count: number; firstIds: string[] }> {
  const { rows } = await tx.query<{ count: number; first_ids: string[] }>(sql`
    with unfunded as materialized (
      select s.id from subscription s left join v_account a on a.provider_id = s.provider_id
      where s.level_id = ${levelId} and s.status = 'active' and coalesce(a.balance_cents, 0) < ${priceCents}::bigint
      order by s.id for no key update of s),
    paused as (
      update subscription s
      set status = 'paused_funds', status_ref = ${ref}, version = s.version + 1, updated_at = clock_timestamp()
      from unfunded u where s.id = u.id and s.status = 'active'
      returning s.id)
    select (select count(*)::int from paused) as count,
           array(select id from paused order by id limit ${named}::int) as first_ids`);
  const [row] = rows;
  return { count: row?.count ?? 0, firstIds: row?.first_ids ?? [] };
}
