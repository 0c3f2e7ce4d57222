import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Answer, once } from '../idempotency/index.ts';
import type { Database, TransactionOptions, Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route makes of an `Idempotency-Key`. A route that {@link write} answers and that names nothing accepts one. */
    idempotency?: 'required' | 'accepted';
  }
}

/**
 * Runs an operation in one transaction with the caller's `Idempotency-Key`, and replies with what it answers.
 * A repeat gets the first answer again with `Idempotency-Replayed: true`. A route whose `config.idempotency` is `required` refuses
 * `idempotency_key_required` without one.
 */
export async function write<Body>(
  db: Database,
  request: FastifyRequest,
  reply: FastifyReply,
  work: (tx: Tx) => Promise<Answer<Body>>,
  options: TransactionOptions = {},
): Promise<Body> {
  const key = idempotencyKey(request);
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

/** What an `Idempotency-Key` looks like. */
export const idempotencyKeyForm = /^[A-Za-z0-9_-]{8,64}$/;

/**
 * The header, checked for its form and, where the route's `config.idempotency` is `required`, for its presence.
 * Throws refusal `validation_failed` or `idempotency_key_required`.
 */
export function idempotencyKey(request: FastifyRequest): string | undefined {
  const header = request.headers['idempotency-key'];
  if (header === undefined) {
    if (request.routeOptions.config.idempotency === 'required') throw refuse('idempotency_key_required');
    return undefined;
  }
  if (typeof header === 'string' && idempotencyKeyForm.test(header)) return header;
  throw refuse('validation_failed', {
    faults: [{ at: 'headers.idempotency-key', message: '8–64 of A–Z a–z 0–9 _ -' }],
  });
}
