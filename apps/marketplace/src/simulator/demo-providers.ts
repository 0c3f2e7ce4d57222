import type { DemoLevel } from './demo-catalogue.ts';

export interface DemoSubscription {
  readonly niche: string;
  readonly level: DemoLevel;
  readonly areas: readonly string[];
  readonly filter?: readonly { field: string; op: string; value: unknown }[];
  readonly dailyCap?: number;
}

export interface DemoProvider {
  readonly company: string;
  readonly email: string;
  readonly tz: string;
  readonly creditCents: number;
  readonly subscriptions: readonly DemoSubscription[];
}

const pacific = 'America/Los_Angeles';
const central = 'America/Chicago';
const eastern = 'America/New_York';

/** The one a visitor signs in as: it buys a little of everything. */
export const demoSignIn = 'provider@fmhl.example.com';

/** Twelve providers: nation-wide and local, choosy and not, rich, short of money and without any. */
export const demoProviders: readonly DemoProvider[] = [
  provider('Bay Window Home Services', demoSignIn, pacific, 500_00, [
    buys('roofing', 'Exclusive', ['US-CA']),
    buys('roofing', 'Standard', ['*']),
    buys('hosting', 'Select', ['*']),
    buys('moving', 'Standard', ['US']),
  ]),
  provider('Golden Gate Roofing', 'golden-gate@example.com', pacific, 240_00, [
    buys('roofing', 'Exclusive', ['US-941', 'US-945']),
    buys('roofing', 'Select', ['US-CA']),
  ]),
  provider('Lone Star Shingles', 'lone-star@example.com', central, 180_00, [
    buys('roofing', 'Select', ['US-TX'], { filter: [{ field: 'roof', op: 'eq', value: 'shingle' }] }),
    buys('roofing', 'Standard', ['US-TX', 'US-OK']),
  ]),
  provider('Lakeside Roofers', 'lakeside@example.com', central, 150_00, [
    buys('roofing', 'Standard', ['US-IL', 'US-WI', 'US-IN'], { dailyCap: 3 }),
  ]),
  provider('Big Roofs Only', 'big-roofs@example.com', eastern, 300_00, [
    buys('roofing', 'Select', ['US'], { filter: [{ field: 'area_sqft', op: 'gte', value: 3_000 }] }),
    buys('roofing', 'Standard', ['US'], { filter: [{ field: 'area_sqft', op: 'gte', value: 3_000 }] }),
  ]),
  provider('Night Owl Emergency Roofing', 'night-owl@example.com', eastern, 120_00, [
    buys('roofing', 'Select', ['*'], { filter: [{ field: 'urgent', op: 'eq', value: true }], dailyCap: 2 }),
  ]),
  provider('Rackspring Hosting', 'rackspring@example.com', eastern, 420_00, [
    buys('hosting', 'Exclusive', ['*']),
    buys('hosting', 'Select', ['*']),
  ]),
  provider('Pressable Pages', 'pressable@example.com', central, 90_00, [
    buys('hosting', 'Select', ['*'], { filter: [{ field: 'platform', op: 'in', value: ['wordpress', 'php'] }] }),
    buys('hosting', 'Standard', ['*']),
  ]),
  provider('Small Sites Club', 'small-sites@example.com', pacific, 60_00, [
    buys('hosting', 'Standard', ['*'], { filter: [{ field: 'monthly_visits', op: 'lte', value: 50_000 }] }),
  ]),
  provider('Two Strong Movers', 'two-strong@example.com', eastern, 200_00, [
    buys('moving', 'Exclusive', ['US-NY', 'US-NJ']),
    buys('moving', 'Standard', ['US-NY', 'US-NJ', 'US-PA'], { dailyCap: 5 }),
  ]),
  provider('Coast to Coast Vans', 'coast-to-coast@example.com', pacific, 260_00, [
    buys('moving', 'Select', ['US'], { filter: [{ field: 'distance_miles', op: 'gte', value: 100 }] }),
    buys('moving', 'Standard', ['US']),
  ]),
  // Without money: its subscription waits for funds.
  provider('Fresh Start Removals', 'fresh-start@example.com', central, 0, [buys('moving', 'Standard', ['*'])]),
];

function provider(
  company: string,
  email: string,
  tz: string,
  creditCents: number,
  subscriptions: readonly DemoSubscription[],
): DemoProvider {
  return { company, email, tz, creditCents, subscriptions };
}

function buys(
  niche: string,
  level: DemoLevel,
  areas: readonly string[],
  terms: Pick<DemoSubscription, 'filter' | 'dailyCap'> = {},
): DemoSubscription {
  return { niche, level, areas, ...terms };
}
