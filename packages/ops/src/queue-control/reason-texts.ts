import type { Explanation, WaitCode } from './contract.ts';
import { neverAtThisRate } from './eta.ts';
import type { QueueFacts, Reason, ReasonFacts } from './explanation.ts';

type Worded = Pick<Explanation['reasons'][number], 'text' | 'action'>;

/** The sentence of a reason, and the request that would help. Pure. */
export function reasonTexts({ code, facts }: Reason, queue: QueueFacts, jobId?: string): Worded {
  return { text: texts[code](facts, queue), action: actionOf(code, queue.queue, jobId) };
}

const texts: Readonly<Record<WaitCode, (facts: ReasonFacts, queue: QueueFacts) => string>> = {
  queue_paused: ({ by, reason, until, outside }) =>
    outside
      ? 'The queue is paused in Redis, by nobody this plane knows.'
      : `${String(by)} paused the queue: ${String(reason)}. ${until ? `The pause ends at ${String(until)}.` : 'It ends when somebody resumes it.'}`,
  redis_unavailable: () => 'Redis cannot be asked. Jobs are safe in Postgres and run when it is back.',
  no_workers: () => 'No worker of this queue was seen in the last 30 s: never at this rate.',
  worker_silent: () => 'The worker that began it is silent. The job is offered again when its lock has ended.',
  delayed_until: ({ until, delayed }) =>
    until
      ? `It is not to run before ${String(until)}.`
      : `${String(delayed)} jobs wait for their time; none waits for a worker.`,
  not_dispatched: ({ queue_full, most_waiting }) =>
    queue_full
      ? `It is committed and waits in Postgres: Redis already holds ${String(most_waiting)} waiting jobs of this queue.`
      : 'It is committed and not yet handed over to Redis.',
  waiting_for_children: () => 'It waits for the jobs it depends on.',
  rate_limited: ({ for_ms }) => `A rate limit lets nothing through for ${String(for_ms)} ms.`,
  behind_priority: ({ ahead }) => `${String(ahead)} jobs of a higher priority come first.`,
  behind_redrive: ({ name }) => `The redrive "${String(name)}" sends retries into this queue.`,
  workers_busy: ({ ahead, workers }, queue) =>
    `The ${String(workers)} worker processes are busy; ${String(ahead)} jobs come first${neverAtThisRate(queue) ? ': never at this rate' : ''}.`,
  stalled_before: ({ times }) =>
    `It stalled ${String(times)} times before: its worker died or lost it. The third time it dies.`,
  unknown: () => 'Nothing known keeps it from running; it should begin within seconds.',
};

/** Paths are below the root of this API. */
function actionOf(code: WaitCode, queue: string, jobId: string | undefined): Worded['action'] {
  const root = `/queues/${queue}`;
  if (code === 'queue_paused') return { method: 'POST', path: `${root}/resume`, permission: 'queue.control' };
  if (code === 'delayed_until' && jobId !== undefined) {
    const path = `${root}/jobs/${encodeURIComponent(jobId)}/promote`;
    return { method: 'POST', path, permission: 'job.control' };
  }
  if (code === 'no_workers' || code === 'workers_busy' || code === 'worker_silent') {
    return { method: 'GET', path: root, permission: 'queue.read' };
  }
  return null;
}
