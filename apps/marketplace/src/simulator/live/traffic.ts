import { setTimeout as wait } from 'node:timers/promises';
import { openArrivals } from '../arrivals.ts';
import { streamOf } from '../random.ts';
import { demand } from '../shape.ts';
import type { FormFields } from '../world-catalogue.ts';
import { sendBadInput } from './bad-input.ts';
import { type Buying, openBuying } from './buying.ts';
import { type Answer, type Caller, CallRefused } from './caller.ts';
import type { LetterBox } from './letter-box.ts';
import { type AskedNiche, type LiveLead, liveLead } from './live-lead.ts';
import type { PaymentGateway } from './payment-gateway.ts';
import type { People } from './people.ts';

export interface TrafficOptions {
  readonly seed: number;
  /** How many times as fast as life, 1 to 60: people come that much oftener and wait that much shorter. */
  readonly speed: number;
  /** Number of the first lead: another one than before, so that nobody is sent again. */
  readonly firstLead: number;
}

export interface TrafficDeps {
  readonly url: string;
  readonly stranger: Caller;
  readonly people: People;
  readonly letters: LetterBox;
  readonly gateway: PaymentGateway;
  /** Of a provider, its user: to act for it. */
  readonly userOf: (providerId: string) => Promise<string | undefined>;
  /** Told of what went wrong: one line. */
  readonly say: (line: string) => void;
}

/** What happened so far, each a number of times. */
export type TrafficCounts = Record<
  | 'submitted'
  | 'replayed'
  | 'bad_input'
  | 'confirmed'
  | 'approved'
  | 'rejected'
  | 'sold'
  | 'viewed'
  | 'accepted'
  | 'declined'
  | 'reported'
  | 'deposits'
  | 'held_back'
  | 'failed',
  number
>;

export interface Traffic {
  readonly counts: Readonly<TrafficCounts>;
  start(): Promise<void>;
  /** Nobody comes any more; who is on the way goes no further. */
  stop(): Promise<void>;
}

/** At speed 1 and on average, in leads a minute. At 60 that is what one address may submit by default. */
const leadsAMinute = 2;
const dayMs = 86_400_000;
/** Whoever starts it wants to see something: it begins in the morning of today, whatever the time is. UTC. */
const morningMs = 15 * 3_600_000;
/** Longer than the waits of a mail that is refused twice. */
const mailWithinMs = 120_000;
/** For calls under way when the traffic stops. */
const lastWordsMs = 2_000;

/** People, staff and providers who use the running product by its API, as seeded numbers say. */
export function openTraffic(options: TrafficOptions, deps: TrafficDeps): Traffic {
  return new LiveTraffic(options, deps);
}

class LiveTraffic implements Traffic {
  readonly counts: TrafficCounts = {
    submitted: 0,
    replayed: 0,
    bad_input: 0,
    confirmed: 0,
    approved: 0,
    rejected: 0,
    sold: 0,
    viewed: 0,
    accepted: 0,
    declined: 0,
    reported: 0,
    deposits: 0,
    held_back: 0,
    failed: 0,
  };
  readonly #options: TrafficOptions;
  readonly #deps: TrafficDeps;
  readonly #buying: Buying;
  readonly #ending = new AbortController();
  readonly #under = new Set<Promise<void>>();
  #niches: AskedNiche[] = [];
  #coming: Promise<void> | undefined;

  constructor(options: TrafficOptions, deps: TrafficDeps) {
    this.#options = options;
    this.#deps = deps;
    const pause = (ms: number) => this.#pause(ms);
    this.#buying = openBuying({ ...deps, seed: options.seed, counts: this.counts, pause });
  }

  async start() {
    if (this.#coming) return;
    this.#niches = await readNiches(this.#deps.stranger);
    if (this.#niches.length === 0) throw new Error('nobody can ask for anything: there is no active niche');
    // Ended by the signal, and by nothing else.
    this.#coming = this.#come().catch((error: unknown) => this.#note(error));
  }

  async stop() {
    this.#ending.abort();
    await this.#coming;
    await Promise.race([Promise.all(this.#under), wait(lastWordsMs, undefined, { ref: false })]);
  }

  /** Arrivals of a Poisson process whose rate follows the hours; each goes its way by itself. */
  async #come(): Promise<void> {
    const { seed, speed, firstLead } = this.#options;
    const startedAt = Date.now();
    const from = Math.floor(startedAt / dayMs) * dayMs + morningMs;
    const span = { seed, from, to: from + 30 * dayMs, nicheWeights: this.#niches.map(() => 1) };
    const arrivals = openArrivals(span);
    for (let n = firstLead; !this.#ending.signal.aborted; n += 1) {
      const simulated = Math.min(from + (Date.now() - startedAt) * speed, span.to - 1);
      const meanMs = 60_000 / leadsAMinute / Math.max(0.05, arrivals.rateAt(simulated));
      await this.#pause(streamOf(seed, 'live.gap', n).exponential(meanMs));
      const journey = this.#journey(n).catch((error: unknown) => this.#note(error));
      this.#under.add(journey);
      void journey.then(() => this.#under.delete(journey));
    }
  }

  async #journey(n: number): Promise<void> {
    const { seed } = this.#options;
    const { url } = this.#deps;
    const stray = streamOf(seed, 'live.stray', n);
    if (stray.chance(demand.badInputShare)) {
      if ((await sendBadInput(url, stray)) >= 500) throw new Error('bad input was answered with a server error');
      this.counts.bad_input += 1;
    }
    const lead = liveLead(seed, n, this.#niches);
    const isStored = await this.#submit(lead);
    if (!isStored || lead.path.confirmAfterMs === undefined) return;
    const token = await this.#deps.letters.tokenFor(lead.body.email, mailWithinMs);
    await this.#pause(lead.path.confirmAfterMs);
    // Who asks twice gets two mails, and clicks on either.
    const { id } = (await this.#deps.stranger.post<{ id: string }>('/leads/confirm', { token })).body;
    this.counts.confirmed += 1;
    await this.#pause(lead.path.reviewAfterMs);
    if (await this.#review(id, lead)) await this.#buying.follow(id, n);
  }

  /** False where the product asks to come later. */
  async #submit({ n, body, isDoubled }: LiveLead): Promise<boolean> {
    const key = `live-${this.#options.seed}-${n}`;
    const send = () => this.#deps.stranger.ask<{ id?: string }>('POST', '/leads', { body, key });
    const answers = await Promise.all(isDoubled ? [send(), send()] : [send()]);
    const [answer] = answers as [Answer<{ id?: string }>];
    if (answer.status === 429) {
      this.counts.held_back += 1;
      return false;
    }
    if (answer.status !== 202) throw new Error(`a lead was answered with ${answer.status}`);
    this.counts.submitted += 1;
    this.counts.replayed += answers.length - 1;
    return true;
  }

  /** True when it goes on to be sold. */
  async #review(id: string, { path }: LiveLead): Promise<boolean> {
    const { operator } = this.#deps.people;
    const { risk_flags } = await operator.get<{ risk_flags: string[] }>(`/admin/leads/${id}`);
    if (!path.isApproved(risk_flags.includes('duplicate'))) {
      await operator.post(`/admin/leads/${id}/reject`, { reason: 'Not what the niche is for' });
      this.counts.rejected += 1;
      return false;
    }
    await operator.post(`/admin/leads/${id}/approve`);
    this.counts.approved += 1;
    return true;
  }

  /** So long in simulated time. Throws at once when the traffic stops, so that nobody goes any further. */
  #pause(ms: number): Promise<void> {
    return wait(ms / this.#options.speed, undefined, { signal: this.#ending.signal });
  }

  #note(error: unknown): void {
    if (this.#ending.signal.aborted) return;
    if (error instanceof CallRefused && error.status === 429) return void (this.counts.held_back += 1);
    this.counts.failed += 1;
    this.#deps.say(error instanceof Error ? error.message : String(error));
  }
}

/** Every niche with its form, the first the one that is asked for most. */
async function readNiches(stranger: Caller): Promise<AskedNiche[]> {
  const { items } = await stranger.get<{ items: { slug: string }[] }>('/niches');
  return Promise.all(
    items.map(async ({ slug }) => {
      const form = await stranger.get<{ fields: FormFields; consent: { version: number } }>(`/niches/${slug}/form`);
      return { slug, fields: form.fields, consentVersion: form.consent.version };
    }),
  );
}
