import { type Actor, audit } from '../audit/index.ts';
import { type Database, type Queryable, sql, type Tx } from '../postgres/index.ts';
import { type PausedColumns, pauseOf, type QueuePause, type RedisQueues } from '../queues/index.ts';

/** What an operator wishes of a queue now. `already`: it was so before, and nothing was recorded. */
export interface Wished {
  readonly already: boolean;
  readonly pause: QueuePause | null;
}

export interface PauseRequest {
  readonly queue: string;
  readonly actor: Actor;
  readonly reason: string;
  /** Ends by itself after this many seconds. Default: never. */
  readonly forS?: number | undefined;
}

/** Wishes that a queue rests: attempts under way finish, none begins. Who paused it first stands. Redis is told by {@link applyWish}. */
export async function pauseQueue(tx: Tx, { queue, actor, reason, forS }: PauseRequest): Promise<Wished> {
  const { rows } = await tx.query<PausedColumns>(sql`
    insert into ops.queue as q (name, paused_at, paused_by, paused_by_name, pause_reason, paused_until)
    values (${queue}, clock_timestamp(), ${actor.id}, ${actor.name}, ${reason},
            clock_timestamp() + ${forS ?? null}::int * interval '1 second')
    on conflict (name) do update
      set paused_at = excluded.paused_at, paused_by = excluded.paused_by, paused_by_name = excluded.paused_by_name,
          pause_reason = excluded.pause_reason, paused_until = excluded.paused_until, version = q.version + 1
      where q.paused_at is null
    returning paused_at, paused_by_name, pause_reason, paused_until`);
  const [row] = rows;
  if (!row) return { already: true, pause: await readWish(tx, queue) };
  const pause = pauseOf(row);
  await audit(tx, {
    actor,
    action: 'queue.paused',
    targetType: 'queue',
    targetId: queue,
    reason,
    details: { until: pause?.until ?? null },
  });
  return { already: false, pause };
}

export interface ResumeRequest {
  readonly queue: string;
  readonly actor: Actor;
  readonly reason?: string | undefined;
  /** Redis holds the queue paused. Counts where nobody here ever paused it: then somebody did so behind the plane's back. */
  readonly pausedInRedis?: boolean;
}

/** Wishes that a queue works again. Redis is told by {@link applyWish}. */
export async function resumeQueue(tx: Tx, request: ResumeRequest): Promise<Wished> {
  const { queue, actor, reason, pausedInRedis = false } = request;
  const { rowCount } = await tx.query(sql`
    update ops.queue
    set paused_at = null, paused_by = null, paused_by_name = null, pause_reason = null, paused_until = null, version = version + 1
    where name = ${queue} and paused_at is not null`);
  const isStrange = rowCount === 0 && pausedInRedis && (await takeOver(tx, queue));
  if (rowCount === 0 && !isStrange) return { already: true, pause: null };
  await audit(tx, {
    actor,
    action: 'queue.resumed',
    targetType: 'queue',
    targetId: queue,
    reason,
    ...(isStrange && { details: { paused_outside: true } }),
  });
  return { already: false, pause: null };
}

/** From now on Redis follows the wish for this queue. False when it did so before. */
async function takeOver(tx: Tx, queue: string): Promise<boolean> {
  const { rowCount } = await tx.query(sql`insert into ops.queue (name) values (${queue}) on conflict do nothing`);
  return rowCount === 1;
}

/** What is wished of a queue; null when it may run. */
export async function readWish(db: Queryable, queue: string): Promise<QueuePause | null> {
  const { rows } = await db.query<PausedColumns>(
    sql`select paused_at, paused_by_name, pause_reason, paused_until from ops.queue where name = ${queue}`,
  );
  return rows[0] ? pauseOf(rows[0]) : null;
}

/**
 * Tells Redis what is wished of a queue. The row is locked meanwhile: of a pause and a resume the last commit wins in Redis too.
 * Answers whether Redis had to be told. Throws when Redis is away; the loop of the wishes tells it later.
 */
export async function applyWish(db: Database, queues: RedisQueues, queue: string): Promise<boolean> {
  return db.transaction(async (tx) => {
    const { rows } = await tx.query<{ paused: boolean }>(
      sql`select paused_at is not null as paused from ops.queue where name = ${queue} for update`,
    );
    const wish = rows[0];
    if (!wish || (await queues.isPaused(queue)) === wish.paused) return false;
    await (wish.paused ? queues.pause(queue) : queues.resume(queue));
    return true;
  });
}
