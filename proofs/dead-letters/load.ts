import { writeFileSync } from 'node:fs';
import { Queue } from 'bullmq';
import { enqueue, sql, type Tx } from '../../packages/ops/src/index.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import type { Field } from './ground.ts';
import { releaseFile } from './handler.ts';
import { aimed, ends, type Fate, payloadOf, prefix, type ProofQueue, unattended, volatile, work } from './jobs.ts';

/** Makes jobs that die, each in the way it is told, and notes each before the next. */
export interface Load {
  /** A job of the mixed load. Answers its marker. */
  plan(fate: Fate): Promise<string>;
  /** A job for the worker that is to be killed. */
  aim(fate: Fate): Promise<string>;
  /** A job that blocks its process beyond its lock, until BullMQ has failed it. One at a time: two would block all who could notice. */
  stall(): Promise<void>;
  /** Waits until everything that Redis alone knew is captured: nobody can save it from the loss of Redis. */
  isSaved(): Promise<boolean>;
  /** Deletes what is to be lost, each time Redis has it again; resolves once it is given up. */
  loseAgainAndAgain(): Promise<void>;
  close(): Promise<void>;
}

const hourMs = 3_600_000;
const capturedWithinMs = 60_000;

export function openLoad(name: string, field: Field): Load {
  return new MarkedLoad(name, field);
}

class MarkedLoad implements Load {
  readonly #name: string;
  readonly #field: Field;
  readonly #queue: Queue;
  readonly #redisOnly: string[] = [];
  readonly #lost: string[] = [];
  #made = 0;

  constructor(name: string, field: Field) {
    this.#name = name;
    this.#field = field;
    this.#queue = new Queue(work.name, { connection: field.redis, prefix, skipWaitingForReady: true });
    this.#queue.on('error', () => {});
  }

  async plan(fate: Fate): Promise<string> {
    const marker = this.#mark(fate);
    if (fate in ends) return this.#enqueue(queueOf(fate), marker, fate);
    switch (fate) {
      case 'lost':
        await this.#enqueue(unattended, marker, fate);
        this.#lost.push(marker);
        return marker;
      case 'mislaid':
        return this.#mislay(marker);
      case 'remove':
        return this.#remove(marker);
      case 'wait':
        return this.#enqueue(work, marker, fate, { delayMs: hourMs });
      case 'orphan':
      case 'foreign':
      case 'garbage':
      case 'failed_garbage':
        return this.#forge(marker, fate);
      default:
        return this.#enqueue(work, marker, fate, { spoil: (tx) => spoil(tx, marker, fate) });
    }
  }

  aim(fate: Fate): Promise<string> {
    const marker = this.#mark(fate);
    return this.#enqueue(aimed, marker, fate, { spoil: (tx) => spoil(tx, marker, fate) });
  }

  async stall(): Promise<void> {
    const { redis, directory } = this.#field;
    const marker = await this.plan('stall');
    const key = `${prefix}:${volatile.name}:${marker}`;
    // As often as BullMQ allows already: once more is once too often.
    await pollUntil(async () => (await redis.exists(key)) === 1 && (await redis.hset(key, 'stc', 5)) >= 0, late);
    await this.#captured([marker]);
    writeFileSync(releaseFile(directory, marker), '');
  }

  isSaved(): Promise<boolean> {
    return this.#captured(this.#redisOnly);
  }

  async loseAgainAndAgain(): Promise<void> {
    const { redis, db } = this.#field;
    const open = sql`select from ops.job_run where run_key = any (${this.#lost}::text[]) and state = 'enqueued' limit 1`;
    await pollUntil(async () => {
      if (this.#lost.length > 0)
        await redis.del(...this.#lost.map((marker) => `${prefix}:${unattended.name}:${marker}`));
      return (await db.query(open)).rowCount === 0;
    }, late);
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }

  #mark(fate: Fate): string {
    this.#made += 1;
    return `m-${this.#name}-${this.#made}-${fate}`;
  }

  /** Plans a job and notes it once its commit is acknowledged. */
  async #enqueue(
    queue: ProofQueue,
    marker: string,
    fate: Fate,
    { spoil: spoilJob, delayMs = 0 }: { spoil?: (tx: Tx) => Promise<void>; delayMs?: number } = {},
  ): Promise<string> {
    const payload = payloadOf(marker, fate);
    await this.#field.db.transaction(async (tx) => {
      await enqueue(tx, queue, 'task', payload, { key: marker, delayMs });
      await spoilJob?.(tx);
    });
    this.#field.intentions.append({ kind: 'planned', marker, queue: queue.name, fate });
    return marker;
  }

  /** Redis loses the content of a job that waits for its time; the id comes due without it. */
  async #mislay(marker: string): Promise<string> {
    await this.#enqueue(work, marker, 'mislaid', { delayMs: 400 });
    await pollUntil(async () => (await this.#field.redis.del(`${prefix}:${work.name}:${marker}`)) === 1, {
      deadlineMs: 2_000,
      everyMs: 5,
    }).catch(() => {});
    return marker;
  }

  async #remove(marker: string): Promise<string> {
    await this.#enqueue(work, marker, 'remove', { delayMs: hourMs });
    const { status, body } = await this.#field.client.post(
      `/queues/${work.name}/jobs/${marker}/remove`,
      { reason: 'the proof wants it gone' },
      `remove-${marker}`.slice(0, 64),
    );
    if (status !== 200) throw new Error(`${marker} could not be removed: ${status} ${JSON.stringify(body)}`);
    return marker;
  }

  /** Writes into Redis behind the plane's back. */
  async #forge(marker: string, fate: 'orphan' | 'foreign' | 'garbage' | 'failed_garbage'): Promise<string> {
    const { redis, intentions } = this.#field;
    const key = `${prefix}:${work.name}`;
    intentions.append({ kind: 'planned', marker, queue: work.name, fate });
    this.#redisOnly.push(marker);
    if (fate === 'orphan' || fate === 'foreign') {
      await this.#queue.add('task', fate === 'orphan' ? envelopeOf(marker) : { from: 'a stranger', marker }, {
        jobId: marker,
      });
      return marker;
    }
    const at = String(Date.now());
    const bytes = Buffer.concat([Buffer.from(`{"not": json ${marker} `), Buffer.from([0, 0xff, 0xfe, 0xc3, 0x28])]);
    const hash = { name: 'task', opts: '{}', timestamp: at, delay: '0', priority: '0', data: bytes };
    if (fate === 'garbage') {
      await redis
        .multi()
        .hset(`${key}:${marker}`, hash)
        .lpush(`${key}:wait`, marker)
        .zadd(`${key}:marker`, '0', '0')
        .exec();
      return marker;
    }
    const dead = { ...hash, failedReason: 'gone wrong', finishedOn: at, atm: '1' };
    await redis.multi().hset(`${key}:${marker}`, dead).zadd(`${key}:failed`, at, marker).exec();
    return marker;
  }

  #captured(markers: readonly string[]): Promise<boolean> {
    const { db } = this.#field;
    const missing = sql`
      select from unnest(${markers}::text[]) as m(marker)
      where not exists (select from ops.dead_letter_queue l where l.root_key = m.marker or l.job_id = m.marker) limit 1`;
    return pollUntil(async () => (await db.query(missing)).rowCount === 0, late);
  }
}

const late = { deadlineMs: capturedWithinMs, everyMs: 20 };

function queueOf(fate: Fate): ProofQueue {
  return fate === 'crash' || fate === 'stall' ? volatile : work;
}

function envelopeOf(marker: string) {
  const meta = { correlation_id: marker.slice(0, 64), enqueued_at: new Date().toISOString() };
  return { v: 1, run: marker, root: marker, meta, body: payloadOf(marker, 'orphan') };
}

/** Breaks a job between its enqueueing and its dispatch, in the commit that makes it. */
async function spoil(tx: Tx, marker: string, fate: Fate): Promise<void> {
  const envelope = (change: ReturnType<typeof sql>) =>
    tx.query(sql`update ops.job_outbox set envelope = ${change} where run_key = ${marker}`);
  if (fate === 'invalid') await envelope(sql`replace(envelope, '"end":"succeed"', '"end":7')`);
  if (fate === 'unparsable') await envelope(sql`left(envelope, -5)`);
  if (fate === 'unknown_kind') await tx.query(sql`update ops.job_run set kind = 'unheard' where run_key = ${marker}`);
}
