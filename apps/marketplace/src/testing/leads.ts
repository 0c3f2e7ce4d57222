import { randomUUID } from 'node:crypto';
import { type Queryable, sql } from '@fmhl/ops';

export interface LeadOverrides {
  nicheId: string;
  /** Default `approved`, with sale number 1. */
  status?: 'pending_confirmation' | 'pending_approval' | 'approved' | 'unsold' | 'rejected' | 'expired';
  areaCodes?: readonly string[];
  form?: Record<string, unknown>;
  email?: string;
  phone?: string | null;
  source?: string | null;
  isTest?: boolean;
  riskFlags?: readonly string[];
  createdAt?: Date;
  confirmExpiresAt?: Date;
  approvedAt?: Date;
  saleNo?: number;
  unsoldTries?: number;
  nextTryAt?: Date | null;
}

export interface MadeLead {
  id: string;
  email: string;
  correlationId: string;
}

/** A lead as it stands in the given state, with its consent. */
export async function makeLead(db: Queryable, overrides: LeadOverrides): Promise<MadeLead> {
  const id = randomUUID();
  const correlationId = `lead-${id}`;
  const { nicheId, status = 'approved', email = `person-${id}@example.com` } = overrides;
  const { createdAt = new Date(), areaCodes = ['*', 'US', 'US-CA', 'US-941'] } = overrides;
  const confirmed = !['pending_confirmation', 'expired'].includes(status);
  const approved = status === 'approved' || status === 'unsold';
  const { approvedAt = createdAt, saleNo = approved ? 1 : 0, nextTryAt = null } = overrides;
  await db.query(sql`
    insert into lead (id, niche_id, status, name, email, email_norm, phone_e164, area_codes, form, source, ip, is_test, risk_flags,
                      correlation_id, confirm_expires_at, confirmed_at, approved_by, approved_at, sale_no, unsold_tries,
                      next_try_at, created_at)
    values (${id}, ${nicheId}, ${status}, 'Test Person', ${email}, ${email.toLowerCase()}, ${overrides.phone ?? null},
            ${areaCodes}, ${JSON.stringify(overrides.form ?? {})}, ${overrides.source ?? null}, '192.0.2.1',
            ${overrides.isTest ?? false}, ${overrides.riskFlags ?? []}, ${correlationId},
            ${overrides.confirmExpiresAt ?? new Date(createdAt.getTime() + 24 * 3_600_000)}, ${confirmed ? createdAt : null},
            ${approved ? 'test' : null}, ${approved ? approvedAt : null}, ${saleNo}, ${overrides.unsoldTries ?? 0},
            ${nextTryAt}, ${createdAt})`);
  await db.query(sql`
    insert into lead_consent (lead_id, text_version, text_sha256, ip) values (${id}, 1, ${'0'.repeat(64)}, '192.0.2.1')`);
  return { id, email, correlationId };
}
