import { type Queryable, sql } from '../postgres/index.ts';
import {
  type FailedJob,
  type FailedSets,
  type QueueRegistry,
  readEnvelope,
  type RedisQueues,
} from '../queues/index.ts';

/** A job of a failed set: Postgres has to say whether it is captured. */
export interface Unjudged {
  readonly queue: string;
  readonly id: string;
  readonly roots: readonly string[];
  /** ISO 8601; empty when it is not known. */
  readonly failed_at: string;
  /** How many jobs the entry stands for. */
  readonly jobs: number;
}

/** Entries of each failed set that are judged one by one: the sweeper empties them within seconds. */
const judged = 500;

/** What the failed sets hold. Throws when Redis does not answer. */
export async function readFailed(deps: {
  registry: QueueRegistry;
  queues: RedisQueues;
  failedSets: FailedSets;
}): Promise<Unjudged[]> {
  const { registry, queues, failedSets } = deps;
  const lists = registry.names.map(async (queue) => {
    const { failed } = await queues.counts(queue);
    if (failed === 0) return [];
    const jobs = await failedSets.read(queue, 0, judged);
    // What is beyond counts as not captured: no job has an empty id.
    const beyond = Math.max(0, failed - judged);
    return [...jobs.map((job) => unjudgedOf(queue, job)), { queue, id: '', roots: [], failed_at: '', jobs: beyond }];
  });
  return (await Promise.all(lists)).flat();
}

function unjudgedOf(queue: string, job: FailedJob): Unjudged {
  const envelope = readEnvelope(jsonOf(job.data));
  const id = envelope?.run ?? job.id;
  const roots = [`${job.id}@${job.finishedOn}`, ...(envelope ? [envelope.root] : [])].map(storable);
  return { queue, id: storable(id), roots, failed_at: timeOf(job.finishedOn), jobs: 1 };
}

/** Others write to Redis too: what Postgres refuses in a text can be no id of ours. */
function storable(text: string): string {
  return text.toWellFormed().replaceAll('\u0000', '\ufffd');
}

function timeOf(finishedOn: string): string {
  const at = new Date(Number(finishedOn) || Number.NaN);
  return Number.isNaN(at.getTime()) || at.getFullYear() > 9999 || at.getFullYear() < 1970 ? '' : at.toISOString();
}

/** A larger payload is not worth parsing for a count. */
const largestParsed = 1024 * 1024;

function jsonOf(data: Buffer | undefined): unknown {
  if (data === undefined || data.length > largestParsed) return undefined;
  try {
    return JSON.parse(data.toString('utf8'));
  } catch {
    return undefined;
  }
}

export interface Uncaptured {
  readonly count: number;
  readonly oldest_s: number | null;
}

/** First deaths that only Redis knows: the run is open, or there is neither a run nor a letter. */
export async function countUncaptured(tx: Queryable, failed: readonly Unjudged[]): Promise<Map<string, Uncaptured>> {
  if (failed.length === 0) return new Map();
  const { rows } = await tx.query<Uncaptured & { queue: string }>(sql`
    select j.queue, sum(j.jobs)::int as count,
           extract(epoch from clock_timestamp() - min(nullif(j.failed_at, '')::timestamptz))::float8 as oldest_s
    from json_to_recordset(${JSON.stringify(failed)}::json) as j(queue text, id text, roots text[], failed_at text, jobs int)
    left join ops.job_run r on r.run_key::text = j.id
    where case when r.run_key is not null then r.state = 'enqueued' and r.generation = 0
               else not exists (select from ops.dead_letter_queue d
                                where d.source = 'queue' and d.queue_name = j.queue and d.root_key = any (j.roots)) end
    group by j.queue`);
  return new Map(rows.map(({ queue, ...rest }) => [queue, rest]));
}
