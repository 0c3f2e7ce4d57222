import type { Lease } from '../leases/index.ts';
import type { Logger } from '../logging/index.ts';
import { type Loop, repeating } from '../loops/index.ts';
import type { Metrics } from '../metrics/index.ts';
import { type Database, sql, type Tx } from '../postgres/index.ts';
import { enqueueProbe, type QueueRegistry } from '../queues/index.ts';
import { overdueProbes } from './probe-results.ts';

export interface ProbeDeps {
  readonly db: Database;
  readonly registry: QueueRegistry;
  readonly lease: Lease;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Between two probes of a queue, in ms. Default an hour. */
  readonly everyMs?: number | undefined;
  /** Between two looks at what is due or overdue, in ms. Default 5,000. */
  readonly lookEveryMs?: number | undefined;
}

/**
 * Plans a probe in each queue once an hour: a job that dies before any code of the host runs. Its letter must be there 30 s after it began;
 * one that is not is logged and counted, once. However many schedulers there are, and however often they start, a queue gets one an hour.
 */
export function openProbe({
  db,
  registry,
  lease,
  log,
  metrics,
  everyMs = 3_600_000,
  lookEveryMs = 5_000,
}: ProbeDeps): Loop {
  const reported = new Set<string>();
  const failures = metrics.counter('capture_probe_failures_total');
  return repeating({
    name: 'capture-probe',
    everyMs: Math.min(everyMs, lookEveryMs),
    onError: (error) => log.error('loop_failed', error, { loop: 'capture-probe' }),
    async runOnce() {
      if (!(await lease.hold())) return { more: false };
      const overdue = new Set(await overdueProbes(db));
      for (const queue of overdue) {
        if (reported.has(queue)) continue;
        reported.add(queue);
        failures.labels({ queue }).inc();
        log.error('capture_probe_failed', new Error('a probe died and was not captured'), { queue });
      }
      for (const queue of registry.names) {
        // A new probe is a new chance to fail.
        if (await askDue(db, queue, everyMs)) reported.delete(queue);
      }
      return { more: false };
    },
  });
}

/**
 * Plans a probe where somebody works, when the last one was asked for long enough ago, and has begun. Answers whether it did.
 * In a queue without workers it would only wait, and look like work that nobody does.
 */
export async function askDue(db: Database, queue: string, everyMs: number): Promise<boolean> {
  return db.transaction(async (tx) => {
    const { rowCount } = await tx.query(sql`
      insert into ops.capture_probe as p (queue, run_key)
      select ${queue}, '' where exists (
        select from ops.worker w
        where ${queue} = any (w.queues) and w.stopped_at is null and w.last_seen_at > clock_timestamp() - interval '30 seconds')
      on conflict (queue) do update set asked_at = clock_timestamp(), run_key = ''
        where p.asked_at <= clock_timestamp() - ${everyMs} * interval '1 ms'
          and not exists (select from ops.job_run r where r.run_key = p.run_key and r.state = 'enqueued')`);
    if (rowCount === 0) return false;
    await removeOldProbes(tx, queue);
    const runKey = await enqueueProbe(tx, queue);
    await tx.query(sql`update ops.capture_probe set run_key = ${runKey} where queue = ${queue}`);
    return true;
  });
}

/** Only the newest probes are kept: a list of letters shows one or two of each queue. */
async function removeOldProbes(tx: Tx, queue: string): Promise<void> {
  await tx.query(sql`
    with old as (
      delete from ops.dead_letter_queue
      where synthetic and queue_name = ${queue} and failed_at < clock_timestamp() - interval '2 hours' returning id, run_key),
    payloads as (delete from ops.dead_letter_payload p using old where p.letter_id = old.id)
    delete from ops.job_run r using old where r.run_key = old.run_key`);
}
