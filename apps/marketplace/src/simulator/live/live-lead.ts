import { weighted } from '../arrivals.ts';
import { answersTo, type LeadPath, pathOf } from '../demand.ts';
import { type MailFate, mailHosts, personOf, phoneOf, phoneNumbers } from '../people.ts';
import { postcodeIn, somePlace } from '../places.ts';
import { streamOf } from '../random.ts';
import { demand } from '../shape.ts';
import type { FormFields } from '../world-catalogue.ts';

/** A niche as its public form shows it. */
export interface AskedNiche {
  readonly slug: string;
  readonly fields: FormFields;
  readonly consentVersion: number;
}

/** One lead to come: all of it follows from the seed, its number and the niches there are. */
export interface LiveLead {
  readonly n: number;
  readonly body: Readonly<Record<string, unknown>> & { readonly email: string };
  /** Sent again at once under the same key, as an impatient finger does. */
  readonly isDoubled: boolean;
  readonly path: LeadPath;
}

const sources = ['search-ads', 'social', 'partner-north', 'partner-south', 'newsletter'] as const;

export function liveLead(seed: number, n: number, niches: readonly AskedNiche[]): LiveLead {
  const { doubleClick, samePerson } = demand.duplicateShares;
  const twice = streamOf(seed, 'live.twice', n);
  const isDoubled = twice.chance(doubleClick);
  // The same person asks again: who that is follows from an earlier number.
  const who = n > 10 && twice.chance(samePerson) ? n - twice.between(1, 10) : n;
  const person = streamOf(seed, 'live.who', who);
  const fate = fateOf(person.next());
  const what = streamOf(seed, 'live.what', who);
  const niche = niches[weighted(what, weightsOf(niches.length))] as AskedNiche;
  const place = somePlace(what);
  const { name, email } = personOf(person, { tag: `live-${seed}-${who}`, fate });
  const phone = person.chance(demand.phoneShare) ? phoneOf(who % phoneNumbers) : undefined;
  const body = {
    niche: niche.slug,
    name,
    email,
    ...(phone && { phone }),
    postcode: postcodeIn(place, what),
    form: answersTo(niche.fields, what),
    consent: { version: niche.consentVersion },
    source: what.pick(sources),
  };
  return { n, body, isDoubled, path: pathOf(seed, n, fate) };
}

/** By rank, as Zipf has it. */
const weightsOf = (count: number): number[] => Array.from({ length: count }, (_, rank) => 1 / (rank + 1));

function fateOf(at: number): MailFate {
  const { accepted, greylisted, bounced } = demand.mail;
  if (at < accepted) return 'accepted';
  if (at < accepted + greylisted) return 'greylisted';
  return at < accepted + greylisted + bounced ? 'bounced' : 'slow';
}

/** How a mail server treats the addresses of simulated people: what is greylisted is taken at the second attempt. */
export function openMailFates(): (address: string) => 'ok' | 'later' | 'bounce' | 'slow' {
  const seen = new Set<string>();
  return (address) => {
    const host = address.slice(address.lastIndexOf('@') + 1);
    if (host === mailHosts.bounced) return 'bounce';
    if (host === mailHosts.slow) return 'slow';
    if (host !== mailHosts.greylisted || seen.has(address)) return 'ok';
    seen.add(address);
    return 'later';
  };
}
