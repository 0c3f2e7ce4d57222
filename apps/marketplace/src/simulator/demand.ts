import { type Arrivals, weighted } from './arrivals.ts';
import { type MailFate, personOf } from './people.ts';
import { type Place, postcodeIn, somePlace } from './places.ts';
import { type Random, streamOf } from './random.ts';
import { demand } from './shape.ts';
import type { FormFields } from './world-catalogue.ts';
import { worldNiches } from './world-catalogue.ts';

/** Somebody who asks, and what they ask. All of it follows from the seed and the number of the lead. */
export interface LeadDraft {
  readonly index: number;
  readonly at: number;
  /** Rank of the niche. */
  readonly niche: number;
  readonly place: Place;
  readonly postcode: string;
  readonly name: string;
  readonly email: string;
  /** The address of the person: whether mails to it arrive. */
  readonly mailFate: MailFate;
  readonly hasPhone: boolean;
  readonly form: Readonly<Record<string, string | number | boolean>>;
  readonly source: string | null;
  readonly campaign: string | null;
  /** Of the range kept for documentation. */
  readonly ip: string;
  readonly isTest: boolean;
}

const sources = [
  ['search-ads', 34],
  ['social', 22],
  ['partner-north', 12],
  ['partner-south', 10],
  ['newsletter', 6],
  [null, 16],
] as const;

const sourceWeights = sources.map(([, weight]) => weight);

const mailWeights: Readonly<Record<MailFate, number>> = {
  accepted: demand.mail.accepted,
  greylisted: demand.mail.greylisted,
  bounced: demand.mail.bounced,
  slow: 1 - demand.mail.accepted - demand.mail.greylisted - demand.mail.bounced,
};

export function draftLead(seed: number, index: number, market: { niches: number; arrivals: Arrivals }): LeadDraft {
  const when = streamOf(seed, 'lead.when', index);
  const place = somePlace(when);
  const at = market.arrivals.at(place.zone, when.next());
  const what = streamOf(seed, 'lead.what', index);
  const niche = weighted(what, market.arrivals.nichesAt(at));
  const fields = worldNiches(market.niches)[niche]?.form_schema.fields ?? [];
  const form = answersTo(fields, what);
  const who = streamOf(seed, 'lead.who', index);
  const mailFate = mailFateOf(who);
  const hasPhone = who.chance(demand.phoneShare);
  const person = personOf(who, { tag: index, fate: mailFate });
  const from = streamOf(seed, 'lead.from', index);
  const source = sources[weighted(from, sourceWeights)]?.[0] ?? null;
  return {
    index,
    at,
    niche,
    place,
    postcode: postcodeIn(place, when),
    ...person,
    mailFate,
    hasPhone,
    form,
    source,
    campaign: source === null ? null : `${source}-${from.between(1, 4)}`,
    ip: `2001:db8:${from.below(65_536).toString(16)}:${from.below(65_536).toString(16)}::1`,
    isTest: from.chance(demand.testShare),
  };
}

function mailFateOf(random: Random): MailFate {
  const names = Object.keys(mailWeights) as MailFate[];
  return names[weighted(random, Object.values(mailWeights))] ?? 'accepted';
}

/** Answers that the form takes. Of options the first are the frequent ones; amounts are spread over their orders of magnitude. */
export function answersTo(fields: FormFields, random: Random): Record<string, string | number | boolean> {
  const answers: Record<string, string | number | boolean> = {};
  for (const field of fields) {
    if (field.type === 'choice')
      answers[field.name] = field.options[Math.floor(random.next() ** 1.5 * field.options.length)] ?? '';
    else if (field.type === 'number') answers[field.name] = amountOf(field, random);
    else if (field.type === 'boolean' && random.chance(0.5)) answers[field.name] = random.chance(0.5);
  }
  return answers;
}

export function amountOf(
  { min = 0, max = 1_000 }: { min?: number | undefined; max?: number | undefined },
  random: Random,
): number {
  const least = Math.max(min, 1);
  return Math.round(least * (max / least) ** random.next());
}

/** What becomes of a lead between its form and its sale. */
export interface LeadPath {
  /** Undefined for who never clicks. */
  readonly confirmAfterMs: number | undefined;
  readonly reviewAfterMs: number;
  readonly saleAfterMs: number;
  isApproved(isDuplicate: boolean): boolean;
}

const dayMs = 86_400_000;

export function pathOf(seed: number, index: number, mailFate: MailFate): LeadPath {
  const random = streamOf(seed, 'lead.path', index);
  // Of those who get the mail: so that of all leads the share is as the knob says.
  const confirms = random.chance(demand.confirm.share / (1 - demand.mail.bounced)) && mailFate !== 'bounced';
  const confirmAfterMs = Math.round(5_000 + random.logNormal(demand.confirm.medianMs, demand.confirm.sigma));
  const verdict = random.next();
  return {
    confirmAfterMs: confirms ? Math.min(confirmAfterMs, dayMs - 60_000) : undefined,
    reviewAfterMs: Math.round(20_000 + random.logNormal(demand.approve.medianMs, demand.approve.sigma)),
    saleAfterMs: Math.round(20 + random.logNormal(demand.sale.medianMs, demand.sale.sigma)),
    isApproved: (isDuplicate) => verdict < (isDuplicate ? demand.approve.ofDuplicates : demand.approve.share),
  };
}
