import { createHash } from 'node:crypto';
import { currentContext } from '../logging/index.ts';
import { type Database, databaseFailure, sql, type TransactionOptions, type Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';

/** What a write answers: stored under its key, and given again to whoever repeats it. */
export interface Answer<Body = unknown> {
  readonly status: number;
  readonly body: Body;
}

export interface OnceScope {
  /** Whose key it is: two actors never meet. */
  readonly actor: string;
  /** Method and path, with the ids in it. */
  readonly route: string;
  /** The `Idempotency-Key`, 8–64 of `A–Z a–z 0–9 _ -`; undefined runs the work in a plain transaction. */
  readonly key: string | undefined;
  /** The parsed body; another one under the same key is refused. */
  readonly request: unknown;
}

/** Longest wait for the first of two equal requests, in ms. */
const waitForFirstMs = 5_000;

/**
 * Runs `work` and stores its answer under the caller's key, in one transaction: work without a stored answer, or an answer
 * without its work, cannot exist. A repeat gets the stored answer with `replayed: true`.
 * Throws refusal `idempotency_key_reused` (another body), `in_progress` (the first still runs after 5 s), or what `work` threw.
 */
export async function once<Body>(
  db: Database,
  scope: OnceScope,
  work: (tx: Tx) => Promise<Answer<Body>>,
  options?: TransactionOptions,
): Promise<Answer<Body> & { replayed: boolean }> {
  const { key } = scope;
  if (key === undefined) return { ...(await db.transaction(work, options)), replayed: false };
  const sha = createHash('sha256').update(canonical(scope.request)).digest('hex');
  try {
    return await db.transaction(async (tx) => {
      const earlier = await claim(tx, { ...scope, key }, sha);
      if (earlier) return { ...replay<Body>(earlier, sha), replayed: true };
      const answer = await work(tx);
      await tx.query(sql`
        update ops.idempotency_key set status = ${answer.status}, body = ${JSON.stringify(answer.body ?? null)}
        where actor = ${scope.actor} and route = ${scope.route} and key = ${key}`);
      return { ...answer, replayed: false };
    }, options);
  } catch (error) {
    if (error instanceof ClaimWaited) throw refuse('in_progress');
    throw error;
  }
}

interface StoredAnswer {
  status: number;
  body: unknown;
  request_sha256: string;
}

class ClaimWaited extends Error {}

/** Inserts the key or, when another transaction holds it, waits for that one's end and reads its answer. */
async function claim(tx: Tx, scope: OnceScope & { key: string }, sha: string): Promise<StoredAnswer | undefined> {
  const before = await setLockTimeout(tx, `${waitForFirstMs}ms`);
  const mine = await tx
    .query(sql`
      insert into ops.idempotency_key (actor, route, key, request_sha256, status, correlation_id)
      values (${scope.actor}, ${scope.route}, ${scope.key}, ${sha}, 0, ${currentContext()?.correlationId ?? 'none'})
      on conflict do nothing`)
    .catch((error: unknown) => {
      throw databaseFailure(error) === 'conflict' ? new ClaimWaited() : error;
    });
  await setLockTimeout(tx, before);
  if (mine.rowCount === 1) return undefined;
  const { rows } = await tx.query<StoredAnswer>(sql`
    select status, body, request_sha256 from ops.idempotency_key
    where actor = ${scope.actor} and route = ${scope.route} and key = ${scope.key}`);
  return rows[0];
}

/** Until the end of the transaction; answers what it was. */
async function setLockTimeout(tx: Tx, value: string): Promise<string> {
  const { rows } = await tx.query<{ before: string }>(sql`
    with was as materialized (select current_setting('lock_timeout') as before)
    select before, set_config('lock_timeout', ${value}, true) from was`);
  return rows[0]?.before ?? value;
}

function replay<Body>(stored: StoredAnswer, sha: string): Answer<Body> {
  if (stored.request_sha256 !== sha) throw refuse('idempotency_key_reused');
  return { status: stored.status, body: stored.body as Body };
}

/** JSON with the keys of every object in order, so that the same request has the same hash however it was written. */
export function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) => {
      if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
      return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
    }) ?? 'null'
  );
}
