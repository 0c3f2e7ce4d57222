import { createHash, randomUUID } from 'node:crypto';
import { canonical, currentContext, type Database, type Queryable, type Refusal, sql } from '@fmhl/ops';
import { normaliseEmail } from '../../email-address.ts';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { ProductMetrics } from '../../metrics.ts';
import { areaCodesOf } from '../subscriptions/index.ts';
import { isDisposable, normalisePhone, storableIp } from './contact.ts';
import type { LeadAccepted, LeadSubmission } from './contract.ts';
import type { Intake } from './intake.ts';
import type { NewLead } from './intake-statement.ts';
import type { IntakeNiche, NicheDirectory } from './niche-directory.ts';
import { isBlocked } from './sources.ts';

export interface SubmitDeps {
  /** A transaction does too: then the lead stands with its commit. */
  readonly db: Pick<Database, 'query' | 'wake'>;
  readonly intake: Intake;
  readonly niches: NicheDirectory;
  readonly metrics: Pick<ProductMetrics, 'leadsSubmitted'>;
  readonly log: Log;
}

export interface SubmitInput {
  readonly submission: LeadSubmission;
  /** From the `Idempotency-Key`; belongs to the niche. */
  readonly key: string | undefined;
  readonly ip: string;
  readonly userAgent: string | undefined;
  readonly pageUrl: string | undefined;
  /** Test leads are never sold and never counted. Default false. */
  readonly isTest?: boolean;
}

/**
 * Takes in a lead: in one commit with all that follows from it. A repeat under the same key gets the first answer with `replayed`.
 * Refuses `validation_failed` (saying what would be valid), `consent_outdated`, `idempotency_key_reused`, `source_blocked`.
 */
export async function submitLead(
  input: SubmitInput,
  deps: SubmitDeps,
): Promise<{ lead: LeadAccepted; replayed: boolean }> {
  const { submission } = input;
  if (submission.website) return { lead: accepted(decoyId(input)), replayed: false };
  const niche = await deps.niches.find(submission.niche, submission.consent.version);
  if (!niche) throw fault('niche', `must be one of: ${(await deps.niches.activeSlugs()).slice(0, 50).join(', ')}`);
  const claim = claimOf(input, niche);
  const lead = newLead(input, niche, claim);
  if ('refusal' in lead) {
    // The form or the consent text may have changed since the first of two equal requests; their answer has not.
    const first = claim && (await readFirst(deps.db, claim));
    if (first) return first;
    throw lead.refusal;
  }
  const stored = await deps.intake.store(lead);
  if (!stored) {
    const first = claim && (await readFirst(deps.db, claim));
    if (first) return first;
    if (lead.source !== null && (await isBlocked(deps.db, lead.source))) throw refuse('source_blocked');
    throw new Error('a lead was neither stored nor found');
  }
  deps.db.wake('jobs');
  deps.db.wake('events');
  if (!lead.isTest) deps.metrics.leadsSubmitted.inc();
  deps.log.info('lead_submitted', { lead_id: lead.id, niche_id: niche.id, duplicate: stored.duplicate });
  return { lead: accepted(lead.id), replayed: false };
}

function accepted(id: string): LeadAccepted {
  return { id, status: 'pending_confirmation' };
}

/** For a form that only a program fills in: an id of the right form, the same for the same key. */
function decoyId({ key, submission }: SubmitInput): string {
  if (key === undefined) return randomUUID();
  const hex = createHash('sha256').update(`${submission.niche}:${key}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** An idempotency key and what was asked under it. */
interface Claim {
  readonly nicheId: string;
  readonly key: string;
  readonly sha256: string;
}

function claimOf({ key, submission }: SubmitInput, niche: IntakeNiche): Claim | undefined {
  if (key === undefined) return undefined;
  return { nicheId: niche.id, key, sha256: createHash('sha256').update(canonical(submission)).digest('hex') };
}

async function readFirst(db: Queryable, { nicheId, key, sha256 }: Claim) {
  const { rows } = await db.query<{ id: string; request_sha256: string }>(
    sql`select id, request_sha256 from lead where niche_id = ${nicheId} and idempotency_key = ${key}`,
  );
  const first = rows[0];
  if (!first) return undefined;
  if (first.request_sha256 !== sha256) throw refuse('idempotency_key_reused');
  return { lead: accepted(first.id), replayed: true };
}

/** The lead to store, or why there is none. */
function newLead(input: SubmitInput, niche: IntakeNiche, claim: Claim | undefined): NewLead | { refusal: Refusal } {
  const { submission, ip, userAgent, pageUrl, isTest = false } = input;
  const { name, email, phone, postcode, consent, source, campaign, utm } = submission;
  if (consent.version !== niche.consentVersion)
    return { refusal: refuse('consent_outdated', { version: niche.consentVersion }) };
  const answers = niche.form(submission.form);
  if (!answers.ok) return { refusal: refuse('validation_failed', { faults: answers.faults.map(belowBody) }) };
  const phoneE164 = phone === undefined ? null : normalisePhone(phone);
  if (phoneE164 === undefined) return { refusal: fault('phone', 'must be a phone number, such as +1 415 555 0123') };
  const emailNorm = normaliseEmail(email);
  return {
    id: randomUUID(),
    niche,
    name,
    email,
    emailNorm,
    phoneE164,
    areaCodes: areaCodesOf(postcode),
    form: answers.form,
    source: source ?? null,
    campaign: campaign ?? null,
    utm: utm ?? null,
    ip: storableIp(ip),
    pageUrl: pageUrl?.slice(0, 500) ?? null,
    userAgent: userAgent?.slice(0, 400) ?? null,
    isTest,
    disposable: isDisposable(emailNorm),
    idempotencyKey: claim?.key ?? null,
    requestSha256: claim?.sha256 ?? null,
    context: currentContext() ?? { correlationId: 'none' },
  };
}

function fault(field: string, message: string): Refusal {
  return refuse('validation_failed', { faults: [{ at: `body.${field}`, message }] });
}

function belowBody({ at, message }: { at: string; message: string }) {
  return { at: `body.${at}`, message };
}
