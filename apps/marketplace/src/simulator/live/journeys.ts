import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Ground } from './ground.ts';
import { tradeSlug } from './market.ts';

/** A lead on its way, and who sent it. */
export interface Traveller {
  readonly id: string;
  readonly email: string;
}

export interface Sold {
  readonly id: string;
  readonly status: string;
  readonly assignments: readonly { readonly id: string; readonly provider_id: string }[];
}

/** Submits a lead to the trade of the scenarios. */
export async function submitLead({ stranger }: Ground, terms: { source?: string } = {}): Promise<Traveller> {
  const email = `gutters-${randomUUID()}@example.com`;
  const person = { name: 'Sam Eaves', email, postcode: '94107' };
  const lead = { niche: tradeSlug, ...person, form: {}, consent: { version: 1 }, ...terms };
  const { body } = await stranger.post<{ id: string }>('/leads', lead, randomUUID());
  return { id: body.id, email };
}

export function submitLeads(ground: Ground, count: number, terms: { source?: string } = {}): Promise<Traveller[]> {
  return Promise.all(Array.from({ length: count }, () => submitLead(ground, terms)));
}

/** Clicks on the link of each lead's mail, once it has come. */
export async function confirmLeads({ stranger, letters }: Ground, leads: readonly Traveller[]): Promise<void> {
  await Promise.all(
    leads.map(async ({ email }) => stranger.post('/leads/confirm', { token: await letters.tokenFor(email) })),
  );
}

export async function approveLeads({ operator }: Ground, leads: readonly { id: string }[]): Promise<void> {
  await Promise.all(leads.map(({ id }) => operator.post(`/admin/leads/${id}/approve`)));
}

/** Waits until each has been bought. */
export async function soldLeads({ operator }: Ground, leads: readonly { id: string }[]): Promise<Sold[]> {
  return Promise.all(
    leads.map(({ id }) =>
      until(`the lead ${id} is sold`, async () => {
        const lead = await operator.get<Sold>(`/admin/leads/${id}`);
        return lead.status === 'distributed' ? lead : undefined;
      }),
    ),
  );
}

/** Submitted, confirmed, approved and sold. */
export async function bringLeads(ground: Ground, count: number, terms: { source?: string } = {}): Promise<Sold[]> {
  const leads = await submitLeads(ground, count, terms);
  await confirmLeads(ground, leads);
  await approveLeads(ground, leads);
  return soldLeads(ground, leads);
}

const lookEveryMs = 50;

/** Looks until there is something. Throws, with what was waited for, when that takes too long. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  withinMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain until ${what}`);
    await wait(lookEveryMs);
  }
}
