/** Inboxes of any size, made by a few set-based statements on an empty, migrated database. */
import { type Database, type Queryable, type Sql, sql } from '../packages/ops/src/postgres/index.ts';

export interface InboxSize {
  readonly assignments: number;
  readonly providers: number;
}

/** In the form of a random id, which requests must have. */
const levelOf = (n: Sql): Sql =>
  sql`overlay(overlay(md5('level-' || ${n}) placing '4' from 13) placing '8' from 17)::uuid`;

const niches = 20;
const buyersOfLead = 4;

/** Of each four leads' sales: two thirds opened, half of those decided; over 60 days, some providers with fifty times as many as others. */
export async function buildInboxes(db: Database, { assignments, providers }: InboxSize): Promise<void> {
  const leads = Math.ceil(assignments / buyersOfLead);
  await db.transaction(async (tx) => {
    // References are right by construction: to check them would double the time.
    await tx.query(sql`select setseed(0.42), set_config('session_replication_role', 'replica', true)`);
    await tx.query(sql`set local synchronous_commit = off`);
    await addMarket(tx, providers);
    await addLeads(tx, leads);
    await addAssignments(tx, { leads, providers });
    await addMarks(tx);
  });
  await db.query(
    sql`vacuum (analyze) identity.users, niche, level, provider, subscription, lead, assignment, inbox_mark`,
  );
  await db.query(sql`checkpoint`);
}

async function addMarket(tx: Queryable, providers: number): Promise<void> {
  await tx.query(sql`
    insert into niche (id, slug, name)
    select md5('niche-' || n)::uuid, 'niche-' || n, 'Niche ' || n from generate_series(1, ${niches}::int) n`);
  await tx.query(sql`
    insert into level (id, niche_id, name, ord, price_cents, max_recipients)
    select ${levelOf(sql`n`)}, md5('niche-' || n)::uuid, 'Standard', 1, 1500, 5 from generate_series(1, ${niches}::int) n`);
  await tx.query(sql`
    insert into identity.users (id, email, email_norm, password_hash, display_name, role, email_verified_at)
    select md5('user-' || n)::uuid, 'p' || n || '@example.com', 'p' || n || '@example.com', 'none', 'Provider ' || n, 'provider', now()
    from generate_series(1, ${providers}::int) n`);
  await tx.query(sql`
    insert into provider (id, user_id, company, status)
    select md5('provider-' || n)::uuid, md5('user-' || n)::uuid, 'Provider ' || n, 'active' from generate_series(1, ${providers}::int) n`);
  await tx.query(sql`
    insert into subscription (id, provider_id, level_id, status, areas)
    select md5('subscription-' || p || '-' || n)::uuid, md5('provider-' || p)::uuid, ${levelOf(sql`n`)}, 'active', '{*}'
    from generate_series(1, ${providers}::int) p, generate_series(1, ${niches}::int) n`);
}

async function addLeads(tx: Queryable, leads: number): Promise<void> {
  await tx.query(sql`
    insert into lead (id, niche_id, status, name, email, email_norm, phone_e164, area_codes, form, correlation_id, confirm_expires_at,
                      confirmed_at, approved_by, approved_at, assigned_count, recipient_cap, distributed_at, created_at)
    select md5('lead-' || n)::uuid, md5('niche-' || 1 + n % ${niches}::int)::uuid, 'distributed',
           'Person ' || substr(md5('name-' || n), 1, 8) || ' Doe', 'person.' || n || '@example.com', 'person.' || n || '@example.com',
           '+1415555' || lpad((n % 10000)::text, 4, '0'), '{*,US,US-CA,US-941}', '{"rooms": 4}', 'lead-' || n,
           now(), now(), 'bench', now(), ${buyersOfLead}::int, 5, now(), now() - n * interval '60 days' / ${leads}::int
    from generate_series(1, ${leads}::int) n`);
}

/** Each lead has up to four different buyers, drawn so that the first providers buy most. */
async function addAssignments(
  tx: Queryable,
  { leads, providers }: { leads: number; providers: number },
): Promise<void> {
  await tx.query(sql`
    insert into assignment (id, lead_id, provider_id, subscription_id, level_id, price_cents, slot, slot_cap, cap_day, cap_n, assigned_at)
    select gen_random_uuid(), md5('lead-' || lead)::uuid, md5('provider-' || buyer)::uuid,
           md5('subscription-' || buyer || '-' || 1 + lead % ${niches}::int)::uuid, ${levelOf(sql`1 + lead % ${niches}::int`)}, 1500,
           row_number() over (partition by lead), 5, at::date,
           row_number() over (partition by buyer, lead % ${niches}::int, at::date), at + interval '1 minute'
    from (select distinct lead, 1 + floor(power(random(), 2) * ${providers}::int)::int as buyer,
                 now() - lead * interval '60 days' / ${leads}::int as at
          from generate_series(1, ${leads}::int) lead, generate_series(1, ${buyersOfLead}::int)) drawn`);
}

async function addMarks(tx: Queryable): Promise<void> {
  await tx.query(sql`
    insert into inbox_mark (assignment_id, viewed_at, decision, decided_at)
    select id, assigned_at + interval '12 minutes', decision, case when decision is not null then assigned_at + interval '20 minutes' end
    from (select id, assigned_at, case when random() < 0.5 then case when random() < 0.8 then 'accepted' else 'declined' end end as decision
          from assignment where random() < 0.66) seen`);
}
