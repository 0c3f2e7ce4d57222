import type { z } from 'zod';
import type { Database } from '../postgres/index.ts';
import { lintOf, type QueueRegistry, readOverview, type RedisQueues } from '../queues/index.ts';
import type { queueDetail } from './contract.ts';
import { activeByWorker, type Flow, readFlow, readProcesses, type WorkerProcess } from './flow.ts';

export interface QueueReading {
  readonly db: Database;
  readonly queues: RedisQueues;
  readonly registry: QueueRegistry;
}

export type QueueDetail = z.infer<typeof queueDetail>;

/** Jobs of a process that are named. */
const mostNamed = 50;

/** Everything an operator asks of one queue. What only Redis knows is null while it is away. `queue` is its canonical name. */
export async function readQueueDetail(deps: QueueReading, queue: string): Promise<QueueDetail> {
  const { db, queues, registry } = deps;
  const definition = registry.get(queue);
  if (!definition) throw new TypeError(`no queue "${queue}" is registered`);
  const [overview, processes, flow, active, sample] = await Promise.all([
    readOverview(db, queues, { definitions: [definition] }, () => new Date()),
    readProcesses(db, queue),
    readFlow(db, queue),
    queues.activeJobs(queue).catch(() => undefined),
    queues.sample(queue).catch(() => []),
  ]);
  const [row] = overview.queues;
  if (!row) throw new TypeError(`queue "${queue}" was not read`);
  const working =
    active &&
    (await activeByWorker(
      db,
      active.map(({ runKey }) => runKey),
    ));
  return {
    ...row,
    as_of: overview.as_of,
    counted_from: overview.counted_from,
    processes: processes.map((one) => processOf(one, working)),
    ...flowOf(flow),
    stalled: active ? active.filter(({ hasLock }) => !hasLock).length : null,
    lint: lintOf(definition, sample),
  };
}

function processOf(one: WorkerProcess, working: Map<string, string[]> | undefined): QueueDetail['processes'][number] {
  const jobs = working?.get(one.id) ?? [];
  return {
    id: one.id,
    host: one.host,
    pid: one.pid,
    version: one.version,
    started_at: one.started_at.toISOString(),
    last_seen_at: one.last_seen_at.toISOString(),
    active: working ? jobs.length : null,
    active_jobs: jobs.slice(0, mostNamed),
  };
}

function flowOf(flow: Flow) {
  return {
    wait_ms: quantilesOf(flow.wait),
    run_ms: quantilesOf(flow.run),
    in_per_minute: flow.enqueued / (flow.windowMs / 60_000),
    out_per_minute: flow.outPerMinute,
    measured: { jobs: flow.done, window_s: flow.windowMs / 1_000 },
  };
}

function quantilesOf(values: readonly number[] | null) {
  const [p50, p95, p99] = values ?? [];
  return p50 === undefined || p95 === undefined || p99 === undefined ? null : { p50, p95, p99 };
}
