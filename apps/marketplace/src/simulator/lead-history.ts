import type { Arrivals } from './arrivals.ts';
import type { Chronicle } from './chronicle.ts';
import { draftLead, type LeadDraft } from './demand.ts';
import { LeadSales, type PlannedSale } from './lead-sales.ts';
import type { MarketNiche } from './market.ts';
import type { MoneyHistory } from './money-history.ts';
import { type LeadTrace, OpenLead } from './open-lead.ts';
import { phoneOf } from './people.ts';
import { streamOf } from './random.ts';
import { demand } from './shape.ts';
import type { Timeline } from './timeline.ts';

const dayMs = 86_400_000;
const dedupMs = 30 * dayMs;
/** Of whom somebody may be met again; a hot niche would else be searched through. */
const remembered = 200;

export interface LeadHistoryDeps {
  readonly timeline: Timeline;
  readonly money: MoneyHistory;
  readonly niches: readonly MarketNiche[];
  readonly arrivals: Arrivals;
  readonly consentSha256: string;
}

const rejections = [
  'The request makes no sense',
  'A test of the form, not a person in need',
  'Asked for twice within minutes',
  'Outside of what our providers do',
] as const;

/** What happens to leads until they are for sale: submitted, confirmed, reviewed. */
export class LeadHistory {
  readonly #chronicle: Chronicle;
  readonly #deps: LeadHistoryDeps;
  readonly #sales: LeadSales;
  readonly #persons = new Map<string, LeadTrace>();
  readonly #recent = new Map<number, OpenLead[]>();
  readonly #phones = new Map<number, number>();

  constructor(chronicle: Chronicle, deps: LeadHistoryDeps) {
    this.#chronicle = chronicle;
    this.#deps = deps;
    this.#sales = new LeadSales(chronicle, deps);
  }

  arrive(index: number): void {
    const { niches, arrivals, consentSha256 } = this.#deps;
    const { seed, rows, now } = this.#chronicle;
    const { draft, phone } = this.#whoAsks(draftLead(seed, index, { niches: niches.length, arrivals }));
    const niche = niches[draft.niche] as MarketNiche;
    const original = this.#earlierOf(draft, phone);
    const lead = new OpenLead(seed, { draft, phone, niche, original, consentSha256 }, rows);
    this.#remember(lead);
    this.#askToConfirm(lead);
    const confirmedAt = draft.at + (lead.path.confirmAfterMs ?? Number.POSITIVE_INFINITY);
    if (confirmedAt <= now) this.#confirmed(lead, confirmedAt);
    else {
      if (draft.at + dayMs <= now) lead.change(draft.at + dayMs, { status: 'expired' });
      lead.write();
    }
  }

  /** Writes what is still for sale, and answers what lies ahead of it. */
  close(): readonly PlannedSale[] {
    return this.#sales.close();
  }

  /** Some ask a second time, and some share the phone of another. */
  #whoAsks(draft: LeadDraft): { draft: LeadDraft; phone: string | null } {
    const random = streamOf(this.#chronicle.seed, 'lead.again', draft.index);
    const { samePerson, sharedPhone } = demand.duplicateShares;
    const share = random.next();
    if (share >= samePerson + sharedPhone) return { draft, phone: this.#ownPhone(draft) };
    const since = draft.at - demand.samePersonWithinMs;
    const known = (this.#recent.get(draft.niche) ?? []).filter((lead) => lead.draft.at > since);
    if (share < samePerson && known.length > 0) {
      const first = random.pick(known);
      const { name, email, mailFate, place, postcode, form, isTest } = first.draft;
      return { draft: { ...draft, name, email, mailFate, place, postcode, form, isTest }, phone: first.phone };
    }
    return { draft, phone: known.find(({ phone }) => phone !== null)?.phone ?? this.#ownPhone(draft) };
  }

  #ownPhone({ hasPhone, niche }: LeadDraft): string | null {
    return hasPhone ? this.#nextPhone(niche) : null;
  }

  #nextPhone(niche: number): string | null {
    const nth = this.#phones.get(niche) ?? 0;
    this.#phones.set(niche, nth + 1);
    return phoneOf(nth) ?? null;
  }

  /** The latest of the same person in the niche, as the intake looks for it. */
  #earlierOf({ niche, email, at }: LeadDraft, phone: string | null): LeadTrace | undefined {
    const ofEmail = this.#persons.get(`${niche}/${email}`);
    const ofPhone = phone === null ? undefined : this.#persons.get(`${niche}/${phone}`);
    const latest = (ofEmail?.at ?? 0) >= (ofPhone?.at ?? 0) ? ofEmail : ofPhone;
    return latest && latest.at > at - dedupMs ? latest : undefined;
  }

  #remember(lead: OpenLead): void {
    const { niche, email } = lead.draft;
    this.#persons.set(`${niche}/${email}`, lead.trace);
    if (lead.phone !== null) this.#persons.set(`${niche}/${lead.phone}`, lead.trace);
    const recent = this.#recent.get(niche) ?? [];
    this.#recent.set(niche, recent);
    recent.push(lead);
    if (recent.length > remembered) recent.splice(0, remembered / 2);
  }

  #askToConfirm({ id, nicheName, draft, correlationId }: OpenLead): void {
    this.#chronicle.mail({
      template: 'lead_confirm',
      variables: { lead_id: id, nonce: 1, niche_name: nicheName },
      to: draft.email,
      fate: draft.mailFate,
      dedupeKey: `confirm:${id}:1`,
      related: { type: 'lead', id },
      at: draft.at,
      correlationId,
    });
  }

  #confirmed(lead: OpenLead, at: number): void {
    lead.change(at, { status: 'pending_approval', confirmed_at: at });
    const reviewedAt = at + lead.path.reviewAfterMs;
    if (reviewedAt > this.#chronicle.now) lead.write();
    else if (lead.path.isApproved(lead.isDuplicate)) this.#approved(lead, reviewedAt);
    else this.#rejected(lead, reviewedAt);
  }

  #approved(lead: OpenLead, at: number): void {
    lead.change(at, { status: 'approved', approved_by: 'world-staff', approved_at: at, sale_no: 1 });
    if (lead.draft.isTest) lead.write();
    else this.#sales.plan(lead, at + lead.path.saleAfterMs);
  }

  #rejected(lead: OpenLead, at: number): void {
    const reject_reason = streamOf(this.#chronicle.seed, 'lead.rejected', lead.index).pick(rejections);
    lead.change(at, { status: 'rejected', rejected_by: 'world-staff', rejected_at: at, reject_reason });
    lead.write();
  }
}
