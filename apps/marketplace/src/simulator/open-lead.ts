import { hash } from 'node:crypto';
import { normaliseEmail } from '../email-address.ts';
import { areaCodesOf } from '../features/subscriptions/index.ts';
import type { SoldLead } from './assignment-history.ts';
import type { RowSink } from './chronicle.ts';
import { type LeadDraft, type LeadPath, pathOf } from './demand.ts';
import type { MarketNiche } from './market.ts';
import { idOf } from './random.ts';
import type { RowOf, TableName } from './tables.ts';

const dayMs = 86_400_000;

type LeadRow = { -readonly [Column in keyof RowOf<'lead'>]: RowOf<'lead'>[Column] };

/** What is remembered of a lead for as long as its person may come back. */
export interface LeadTrace {
  readonly id: string;
  readonly at: number;
  /** Until its rows are handed over. */
  open: OpenLead | undefined;
}

interface Submission {
  readonly draft: LeadDraft;
  readonly phone: string | null;
  readonly niche: MarketNiche;
  /** The latest lead of the same person in the niche. */
  readonly original: LeadTrace | undefined;
  readonly consentSha256: string;
}

/** A lead on its way. Its rows are held until all that will change them has happened. */
export class OpenLead implements SoldLead {
  readonly id: string;
  readonly index: number;
  readonly correlationId: string;
  readonly nicheName: string;
  readonly niche: MarketNiche;
  readonly draft: LeadDraft;
  readonly phone: string | null;
  readonly path: LeadPath;
  readonly areas: readonly string[];
  readonly row: LeadRow;
  badAt: number | undefined;
  readonly trace: LeadTrace;
  readonly #original: LeadTrace | undefined;
  #kept: (() => void)[] = [];
  #followers: OpenLead[] = [];
  readonly #rows: RowSink;

  constructor(seed: number, submission: Submission, rows: RowSink) {
    const { draft, phone, niche, original } = submission;
    this.id = idOf(seed, 'lead', draft.index);
    this.index = draft.index;
    this.correlationId = idOf(seed, 'journey', draft.index);
    this.nicheName = niche.name;
    this.niche = niche;
    this.draft = draft;
    this.phone = phone;
    this.path = pathOf(seed, draft.index, draft.mailFate);
    this.areas = areaCodesOf(draft.postcode);
    this.trace = { id: this.id, at: draft.at, open: this };
    this.#original = original;
    this.#rows = rows;
    this.row = leadRow(seed, this, original?.id ?? null);
    this.keep('lead_consent', consentRow(this, submission.consentSha256));
  }

  get isDuplicate(): boolean {
    return this.#original !== undefined;
  }

  keep<Name extends TableName>(name: Name, row: RowOf<Name>): void {
    this.#kept.push(() => this.#rows.add(name, row));
  }

  /** One step of its life. */
  change(at: number, columns: Partial<LeadRow>): void {
    Object.assign(this.row, columns, { updated_at: at, version: (this.row.version ?? 0) + 1 });
  }

  /** Hands its rows over, after those of the lead that it repeats. */
  write(): void {
    if (!this.trace.open) return;
    if (this.#original?.open) {
      this.#original.open.#followers.push(this);
      return;
    }
    this.trace.open = undefined;
    this.#rows.add('lead', this.row);
    for (const add of this.#kept) add();
    for (const follower of this.#followers) follower.write();
    this.#kept = [];
    this.#followers = [];
  }
}

function leadRow(
  seed: number,
  { id, correlationId, niche, draft, phone, areas }: OpenLead,
  duplicateOf: string | null,
): LeadRow {
  const { at, source, campaign } = draft;
  return {
    id,
    niche_id: niche.id,
    status: 'pending_confirmation',
    name: draft.name,
    email: draft.email,
    email_norm: normaliseEmail(draft.email),
    phone_e164: phone,
    area_codes: `{${areas.join(',')}}`,
    form: JSON.stringify(draft.form),
    source,
    campaign,
    utm: source === null ? null : JSON.stringify({ source, campaign }),
    ip: draft.ip,
    is_test: draft.isTest,
    duplicate_of: duplicateOf,
    risk_flags: duplicateOf === null ? '{}' : '{duplicate}',
    idempotency_key: `world-${draft.index}`,
    request_sha256: hash('sha256', `${seed}/request/${draft.index}`),
    correlation_id: correlationId,
    confirm_expires_at: at + dayMs,
    confirmed_at: null,
    approved_by: null,
    approved_at: null,
    rejected_by: null,
    rejected_at: null,
    reject_reason: null,
    sale_no: 0,
    sale_trigger: 'approved',
    start_ord: null,
    assigned_count: 0,
    recipient_cap: null,
    distributed_at: null,
    unsold_tries: 0,
    next_try_at: null,
    sale_verdict: null,
    bad_by: null,
    bad_at: null,
    bad_memo: null,
    created_at: at,
    updated_at: at,
    version: 1,
  };
}

function consentRow({ id, draft }: OpenLead, textSha256: string): RowOf<'lead_consent'> {
  return {
    lead_id: id,
    text_version: 1,
    text_sha256: textSha256,
    page_url: 'https://www.example.com/quote',
    ip: draft.ip,
    user_agent: 'Mozilla/5.0 (made up)',
    consented_at: draft.at,
    created_at: draft.at,
  };
}
