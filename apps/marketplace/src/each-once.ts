import { type Database, idempotencyKey, once, Refusal, type Tx } from '@fmhl/ops';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { actorOf } from './access.ts';

/** What became of one of many. */
export interface EachResult {
  readonly id: string;
  readonly ok: boolean;
  /** Of the refusal; absent for what was done. */
  readonly code?: string;
}

/**
 * Acts on each id in a transaction of its own, under one `Idempotency-Key`: what was done is done once, and a repeat goes on where the
 * first request broke off and answers the same. `act` must refuse before it writes: its refusals are answers, and are kept.
 */
export async function eachOnce(
  db: Database,
  request: FastifyRequest,
  reply: FastifyReply,
  { ids, act }: { ids: readonly string[]; act: (tx: Tx, id: string) => Promise<unknown> },
): Promise<{ results: EachResult[] }> {
  const route = `${request.method} ${request.routeOptions.url}`;
  const scope = { actor: actorOf(request).id, route, key: idempotencyKey(request), request: request.body ?? null };
  // Holds the key to this body: another one under it is refused before anything is done.
  let { replayed } = await once(db, scope, async () => ({ status: 200, body: null }));
  const results: EachResult[] = [];
  for (const id of new Set(ids)) {
    const answer = await once(db, { ...scope, route: `${route} ${id}` }, (tx) => resultOf(id, act(tx, id)));
    results.push(answer.body);
    replayed &&= answer.replayed;
  }
  if (replayed) reply.header('idempotency-replayed', 'true');
  return { results };
}

async function resultOf(id: string, acting: Promise<unknown>): Promise<{ status: number; body: EachResult }> {
  try {
    await acting;
    return { status: 200, body: { id, ok: true } };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { status: 200, body: { id, ok: false, code: error.code } };
  }
}
