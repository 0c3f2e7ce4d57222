import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Answer, once } from '../idempotency/index.ts';
import type { Database, TransactionOptions, Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';

export interface WriteOptions extends TransactionOptions {
  /** `required` is the mark ‡ of the reference; default `accepted`. */
  idempotencyKey?: 'required' | 'accepted';
}

/**
 * Runs an operation in one transaction with the caller's `Idempotency-Key`, and replies with what it answers.
 * A repeat gets the first answer again with `Idempotency-Replayed: true`.
 */
export async function write<Body>(
  db: Database,
  request: FastifyRequest,
  reply: FastifyReply,
  work: (tx: Tx) => Promise<Answer<Body>>,
  options: WriteOptions = {},
): Promise<Body> {
  const key = idempotencyKey(request);
  if (key === undefined && options.idempotencyKey === 'required') throw refuse('idempotency_key_required');
  const scope = {
    actor: request.authorization?.actor.id ?? 'anonymous',
    route: `${request.method} ${request.url.split('?', 1)[0]}`,
    key,
    request: request.body ?? null,
  };
  const answer = await once(db, scope, work, options);
  if (answer.replayed) reply.header('idempotency-replayed', 'true');
  reply.code(answer.status);
  return answer.body;
}

/** The header, checked for its form. Throws refusal `validation_failed`. */
export function idempotencyKey(request: FastifyRequest): string | undefined {
  const header = request.headers['idempotency-key'];
  if (header === undefined) return undefined;
  if (typeof header === 'string' && /^[A-Za-z0-9_-]{8,64}$/.test(header)) return header;
  throw refuse('validation_failed', {
    faults: [{ at: 'headers.idempotency-key', message: '8–64 of A–Z a–z 0–9 _ -' }],
  });
}
