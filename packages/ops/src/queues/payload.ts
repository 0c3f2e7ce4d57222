import type { z } from 'zod';
import { type Database, sql } from '../postgres/index.ts';
import { sha256 } from './envelope.ts';
import { InvalidPayload } from './outcome.ts';

/** The payload of a job, checked. Throws `InvalidPayload`. */
export function checkPayload<Payload>(body: unknown, schema: z.ZodType<Payload>): Payload {
  const checked = schema.safeParse(body);
  if (checked.success) return checked.data;
  // Paths and rules only: the refused values may be personal.
  const faults = checked.error.issues
    .slice(0, 10)
    .map((issue) => `${issue.path.join('.') || 'payload'}: ${issue.code}`);
  throw new InvalidPayload(`payload does not fit its schema: ${faults.join('; ')}`);
}

/** A payload that was too large for Redis. Throws `InvalidPayload` when it is gone or altered. */
export async function readLargePayload(db: Database, runKey: string, hash: string): Promise<unknown> {
  const { rows } = await db.query<{ body: string }>(sql`select body from ops.job_payload where run_key = ${runKey}`);
  const body = rows[0]?.body;
  if (body === undefined) throw new InvalidPayload('the stored payload is gone');
  if (sha256(body) !== hash) throw new InvalidPayload('the stored payload does not match its hash');
  return JSON.parse(body);
}
