import { setTimeout as wait } from 'node:timers/promises';
import { type Answer, type Database, databaseFailure, idempotencyKey, once, Refusal, type Tx } from '@fmhl/ops';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { actorOf } from './access.ts';
import type { Log } from './log.ts';

/** What became of one of many. */
export interface EachResult {
  readonly id: string;
  readonly ok: boolean;
  /** Of the refusal, or `internal` for a fault of ours; absent for what was done. */
  readonly code?: string;
}

/** The same with what was done; absent for a refusal or a fault. */
export type StepResult<Done> = EachResult & { readonly done?: Done };

export interface Steps<Begun extends { readonly ids: readonly string[] }, Done> {
  /** What there is to do, found out once: a repeat goes on with that, whatever has changed since. Refuses the request as a whole. */
  readonly begin: (tx: Tx) => Promise<Begun>;
  /** Acts on one. It must refuse before it writes: its refusals are answers, and are kept. */
  readonly act: (tx: Tx, id: string) => Promise<Done>;
}

/**
 * Acts on many, each in a transaction of its own, under one `Idempotency-Key`: what was done is done once, and a repeat goes on where the
 * first request broke off and answers the same. A step is tried again in place after a lock conflict, and after a COMMIT whose end nobody
 * heard, which its key tells. What was found to do and what each step did are kept as JSON. A step that is at fault itself is logged, answered
 * `internal` and not kept: the others go on, and a repeat tries it again.
 */
export async function stepsOnce<Begun extends { readonly ids: readonly string[] }, Done>(
  db: Database,
  request: FastifyRequest,
  reply: FastifyReply,
  { begin, act }: Steps<Begun, Done>,
  { log }: { log: Log },
): Promise<{ begun: Begun; results: StepResult<Done>[] }> {
  const route = `${request.method} ${request.routeOptions.url}`;
  const scope = { actor: actorOf(request).id, route, key: idempotencyKey(request), request: request.body ?? null };
  // Holds the key to this body: another one under it is refused before anything is done.
  const first = await inPlace(() => once(db, scope, async (tx) => ({ status: 200, body: await begin(tx) })));
  let { replayed } = first;
  const results: StepResult<Done>[] = [];
  for (const id of new Set(first.body.ids)) {
    const step = { ...scope, route: `${route} ${id}` };
    const answer = await inPlace(() => once(db, step, (tx) => resultOf(id, act(tx, id)))).catch((error: unknown) =>
      faultOf(error, { id, route, log }),
    );
    results.push(answer.body);
    replayed &&= answer.replayed;
  }
  if (replayed) reply.header('idempotency-replayed', 'true');
  return { begun: first.body, results };
}

/** {@link stepsOnce} for the ids that the request names, without what was done. */
export async function eachOnce(
  db: Database,
  request: FastifyRequest,
  reply: FastifyReply,
  { ids, act }: { ids: readonly string[]; act: (tx: Tx, id: string) => Promise<unknown> },
  deps: { log: Log },
): Promise<{ results: EachResult[] }> {
  const { results } = await stepsOnce(db, request, reply, { begin: async () => ({ ids }), act }, deps);
  return { results: results.map(({ done: _done, ...result }) => result) };
}

async function resultOf<Done>(id: string, acting: Promise<Done>): Promise<Answer<StepResult<Done>>> {
  try {
    return { status: 200, body: { id, ok: true, done: await acting } };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { status: 200, body: { id, ok: false, code: error.code } };
  }
}

/** Of a step that was rolled back. What ails the database, and refusals of the key, concern the request as a whole. */
function faultOf(error: unknown, { id, route, log }: { id: string; route: string; log: Log }) {
  if (error instanceof Refusal || databaseFailure(error) !== undefined) throw error;
  log.error('http_error', error, { route, id });
  return { body: { id, ok: false, code: 'internal' }, replayed: false };
}

/** Tries of one step. */
const most = 3;

async function inPlace<T>(step: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await step();
    } catch (error) {
      const failure = databaseFailure(error);
      if (tries >= most || (failure !== 'conflict' && failure !== 'ambiguous')) throw error;
      await wait(10 + Math.random() * 40 * tries);
    }
  }
}
