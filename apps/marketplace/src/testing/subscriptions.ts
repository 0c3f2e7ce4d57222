import { randomUUID } from 'node:crypto';
import { type Queryable, sql } from '@fmhl/ops';
import { makeUser, type UserOverrides } from './auth.ts';

export interface NicheOverrides {
  slug?: string;
  name?: string;
  status?: 'active' | 'paused';
  formSchema?: { fields: readonly object[] };
  dedupDays?: number;
}

export async function makeNiche(db: Queryable, overrides: NicheOverrides = {}): Promise<{ id: string; slug: string }> {
  const id = randomUUID();
  const { slug = `niche-${id.slice(0, 8)}`, name = 'Roofing', status = 'active', dedupDays = 30 } = overrides;
  await db.query(sql`
    insert into niche (id, slug, name, status, form_schema, dedup_days)
    values (${id}, ${slug}, ${name}, ${status}, ${JSON.stringify(overrides.formSchema ?? { fields: [] })}, ${dedupDays})`);
  return { id, slug };
}

export interface LevelOverrides {
  nicheId: string;
  name?: string;
  /** Default: behind the niche's others. */
  ord?: number;
  priceCents?: number;
  maxRecipients?: number;
  status?: 'active' | 'retired';
  vclock?: number;
}

/** By default $15 for at most 5 recipients. */
export async function makeLevel(
  db: Queryable,
  overrides: LevelOverrides,
): Promise<{ id: string; ord: number; priceCents: number }> {
  const id = randomUUID();
  const {
    nicheId,
    name = `Level ${id.slice(0, 8)}`,
    priceCents = 1500,
    maxRecipients = 5,
    status = 'active',
  } = overrides;
  const { rows } = await db.query<{ ord: number }>(sql`
    insert into level (id, niche_id, name, ord, price_cents, max_recipients, status, vclock)
    values (${id}, ${nicheId}, ${name},
            coalesce(${overrides.ord ?? null}::int, (select coalesce(max(ord), 0) + 1 from level where niche_id = ${nicheId})),
            ${priceCents}, ${maxRecipients}, ${status}, ${overrides.vclock ?? 0})
    returning ord`);
  return { id, ord: rows[0]?.ord ?? 0, priceCents };
}

export interface ProviderOverrides extends Pick<UserOverrides, 'email' | 'emailVerified'> {
  company?: string;
  tz?: string;
  status?: 'pending' | 'active' | 'suspended' | 'closed';
}

/** By default active, with a verified address and no money. */
export async function makeProvider(
  db: Queryable,
  overrides: ProviderOverrides = {},
): Promise<{ id: string; userId: string; email: string }> {
  const { company = 'Test Roofing', tz = 'UTC', status = 'active', email, emailVerified } = overrides;
  const user = await makeUser(db, {
    role: 'provider',
    displayName: company,
    ...(email && { email }),
    emailVerified: emailVerified ?? true,
  });
  const id = randomUUID();
  await db.query(sql`
    insert into provider (id, user_id, company, tz, status) values (${id}, ${user.id}, ${company}, ${tz}, ${status})`);
  return { id, userId: user.id, email: user.email };
}

export interface SubscriptionOverrides {
  providerId: string;
  levelId: string;
  status?: 'active' | 'paused_user' | 'paused_funds' | 'paused_admin' | 'cancelled';
  areas?: readonly string[];
  filterRules?: readonly object[] | null;
  weight?: number;
  dailyCap?: number | null;
  vt?: number;
}

/** By default active, everywhere, for every lead. */
export async function makeSubscription(db: Queryable, overrides: SubscriptionOverrides): Promise<{ id: string }> {
  const id = randomUUID();
  const {
    providerId,
    levelId,
    status = 'active',
    areas = ['*'],
    filterRules = null,
    weight = 1,
    dailyCap = null,
  } = overrides;
  await db.query(sql`
    with made as (
      insert into subscription (id, provider_id, level_id, status, filter_rules, weight, daily_cap, vt)
      values (${id}, ${providerId}, ${levelId}, ${status}, ${filterRules && JSON.stringify(filterRules)}, ${weight}, ${dailyCap},
              ${overrides.vt ?? 0})
      returning id)
    insert into subscription_area (level_id, area, subscription_id)
    select ${levelId}::uuid, unnest(${areas}::text[]), id from made`);
  return { id };
}
