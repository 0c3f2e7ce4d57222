import type { Database } from '../../packages/ops/src/postgres/index.ts';
import {
  makeLevel,
  makeNiche,
  makeProvider,
  makeSubscription,
} from '../../apps/marketplace/src/testing/subscriptions.ts';
import type { ApiClient } from './api-client.ts';
import type { Journal } from './journal.ts';
import type { Random } from './random.ts';
import type { Intention } from './intentions.ts';

export const fundedSlug = 'funded';
export const scarceSlug = 'scarce';

const largePurse = 10_000_000;
const scarcePriceCents = 2_000;

interface WorldDeps {
  readonly db: Database;
  readonly admin: ApiClient;
  readonly intentions: Journal<Intention>;
}

/** Two niches: one with more money than leads, and one whose money ends after `scarcePlaces` leads. */
export async function buildWorld(
  { random, scarcePlaces }: { random: Random; scarcePlaces: number },
  deps: WorldDeps,
): Promise<void> {
  await buildFunded(random, deps);
  await buildScarce(scarcePlaces, deps);
  deps.intentions.append({ kind: 'scarce', niche: scarceSlug, places: scarcePlaces });
}

async function buildFunded(random: Random, { db, admin, intentions }: WorldDeps): Promise<void> {
  const niche = await makeNiche(db, { slug: fundedSlug, name: 'Roofing' });
  const high = await makeLevel(db, { nicheId: niche.id, priceCents: 1_500, maxRecipients: 2 });
  const low = await makeLevel(db, { nicheId: niche.id, priceCents: 900, maxRecipients: 3 });
  for (let n = 0; n < 6; n += 1) {
    const provider = await makeProvider(db, { company: `Roofers ${n}` });
    // The first three can always pay; the others run dry on the way, at a point the seed decides.
    const cents = n < 3 ? largePurse : random.between(1_000, 12_000);
    await fund(provider.id, cents, { admin, intentions });
    for (const level of n % 3 === 0 ? [high, low] : [n % 2 === 0 ? high : low]) {
      await makeSubscription(db, { providerId: provider.id, levelId: level.id, weight: random.between(1, 3) });
    }
  }
}

async function buildScarce(places: number, { db, admin, intentions }: WorldDeps): Promise<void> {
  const niche = await makeNiche(db, { slug: scarceSlug, name: 'Guttering' });
  const level = await makeLevel(db, { nicheId: niche.id, priceCents: scarcePriceCents, maxRecipients: 1 });
  const provider = await makeProvider(db, { company: 'Gutters' });
  await fund(provider.id, places * scarcePriceCents + 500, { admin, intentions });
  await makeSubscription(db, { providerId: provider.id, levelId: level.id });
}

async function fund(providerId: string, cents: number, { admin, intentions }: Omit<WorldDeps, 'db'>): Promise<void> {
  const adjustment = { amount_cents: cents, memo: 'money to start with' };
  await admin.post(`/admin/providers/${providerId}/adjustments`, adjustment, `start-${providerId}`);
  intentions.append({ kind: 'credited', providerId, cents });
}
