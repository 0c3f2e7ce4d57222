import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import { readablePassword } from '../../features/auth/index.ts';
import { type Caller, CallRefused } from './caller.ts';
import type { Ground } from './ground.ts';

/** The trade in which the scenarios play: its providers buy nothing else, and nobody else buys in it. */
export const tradeSlug = 'gutters';

export interface Level {
  readonly id: string;
  readonly name: string;
  readonly price_cents: number;
}

export interface Buyer {
  readonly id: string;
  readonly caller: Caller;
}

export interface Market {
  readonly nicheId: string;
  readonly select: Level;
  readonly standard: Level;
  readonly buyers: readonly Buyer[];
}

const buyers = [1, 2, 3, 4].map((n) => ({ company: `Gutter Guild ${n}`, email: `gutter-guild-${n}@example.com` }));
const levels = [
  { name: 'Select', ord: 1, price_cents: 2_800, max_recipients: 2 },
  { name: 'Standard', ord: 2, price_cents: 1_500, max_recipients: 3 },
] as const;
/** What the levels of the trade cost when nobody has made a mistake, in cents. */
export const levelPrices: Readonly<Record<string, number>> = Object.fromEntries(
  levels.map(({ name, price_cents }) => [name, price_cents]),
);
/** What each buyer has at least when a scenario begins. */
const purseCents = 200_000;

/** The trade as it should be: made where it is missing, with enough money in every purse. */
export async function openMarket(ground: Ground): Promise<Market> {
  const { operator } = ground;
  const nicheId = await nicheOf(operator);
  const made = await levelsOf(operator, nicheId);
  const found = await buyersOf(ground);
  for (const { id } of found) await equip(operator, id, made);
  const [select, standard] = made;
  if (!select || !standard) throw new Error(`the niche ${tradeSlug} has lost a level`);
  return { nicheId, select, standard, buyers: found };
}

async function nicheOf(operator: Caller): Promise<string> {
  const { items } = await operator.get<{ items: { id: string; slug: string }[] }>('/admin/niches?limit=200');
  const known = items.find(({ slug }) => slug === tradeSlug);
  if (known) return known.id;
  const draft = { slug: tradeSlug, name: 'Gutter cleaning', form_schema: { fields: [] } };
  return (await operator.post<{ id: string }>('/admin/niches', draft, randomUUID())).body.id;
}

async function levelsOf(operator: Caller, nicheId: string): Promise<Level[]> {
  const { items } = await operator.get<{ items: (Level & { niche_id: string })[] }>(
    `/admin/levels?niche=${tradeSlug}&limit=200`,
  );
  const known = items.filter(({ niche_id }) => niche_id === nicheId);
  return Promise.all(
    levels.map(async (draft) => {
      const level = known.find(({ name }) => name === draft.name);
      if (level) return level;
      return (await operator.post<Level>('/admin/levels', { ...draft, niche_id: nicheId }, randomUUID())).body;
    }),
  );
}

async function buyersOf(ground: Ground): Promise<Buyer[]> {
  const found: Buyer[] = [];
  for (const draft of buyers) {
    const known = await buyerOf(ground, draft.email);
    if (!known) {
      const password = readablePassword();
      await ground.operator.post('/admin/providers', { ...draft, password }, randomUUID());
    }
    const buyer = known ?? (await buyerOf(ground, draft.email));
    if (buyer) found.push(buyer);
  }
  return found;
}

async function buyerOf({ db, people }: Ground, email: string): Promise<Buyer | undefined> {
  const { rows } = await db.query<{ id: string; user_id: string }>(sql`
    select p.id, p.user_id from v_provider p join identity.users u on u.id = p.user_id where u.email_norm = ${email}`);
  const [row] = rows;
  return row && { id: row.id, caller: people.provider(row.user_id) };
}

/** Subscribes a buyer to all levels and fills its purse. */
async function equip(operator: Caller, id: string, made: readonly Level[]): Promise<void> {
  for (const { id: level_id } of made) {
    const subscribing = { level_id, areas: ['*'] };
    await operator.post(`/admin/providers/${id}/subscriptions`, subscribing, randomUUID()).catch(unlessSubscribed);
  }
  const { balance_cents } = await operator.get<{ balance_cents: number }>(`/admin/providers/${id}`);
  if (balance_cents >= purseCents) return;
  const memo = 'Money for the scenarios of the demo';
  await operator.post(
    `/admin/providers/${id}/adjustments`,
    { amount_cents: purseCents - balance_cents, memo },
    randomUUID(),
  );
}

function unlessSubscribed(error: unknown): void {
  if (!(error instanceof CallRefused && error.body.includes('already_subscribed'))) throw error;
}
