import { makeLevel, makeNiche, makeProvider, makeSubscription } from '../apps/marketplace/src/testing/subscriptions.ts';
import { type Database, sql } from '../packages/ops/src/postgres/index.ts';

/** More niches than workers, so that the lock of one is not what is measured. */
export const loadSlugs = [
  'roofing',
  'hosting',
  'moving',
  'solar',
  'plumbing',
  'paving',
  'heating',
  'painting',
] as const;

const buyersANiche = 25;
const levels = [
  { name: 'Exclusive', ord: 1, priceCents: 6_000, maxRecipients: 1 },
  { name: 'Select', ord: 2, priceCents: 2_800, maxRecipients: 3 },
  { name: 'Standard', ord: 3, priceCents: 1_500, maxRecipients: 5 },
];
const purseCents = 100_000_000;

/** Two hundred providers with money for all leads of a run. */
export async function buildLoadMarket(db: Database): Promise<void> {
  for (const slug of loadSlugs) {
    const niche = await makeNiche(db, { slug, name: slug });
    const made = [];
    for (const level of levels) made.push(await makeLevel(db, { nicheId: niche.id, ...level }));
    for (let n = 0; n < buyersANiche; n += 1) {
      const provider = await makeProvider(db, { company: `${slug} ${n}`, email: `${slug}-${n}@example.com` });
      await fill(db, provider.id);
      for (const level of made) await makeSubscription(db, { providerId: provider.id, levelId: level.id });
    }
  }
  await db.query(sql`analyze`);
}

/** Money and the ledger entry it came with. */
async function fill(db: Database, providerId: string): Promise<void> {
  await db.query(sql`
    with account as (
      insert into account (provider_id, balance_cents, version) values (${providerId}, ${purseCents}, 1)
      on conflict (provider_id) do update set balance_cents = ${purseCents}, version = 1 returning provider_id)
    insert into ledger_entry (id, provider_id, account_version, kind, amount_cents, balance_after_cents, actor, memo, correlation_id)
    select gen_random_uuid(), provider_id, 1, 'manual_credit', ${purseCents}, ${purseCents}, 'bench', 'money for the run', 'bench' from account`);
}
