import { type Queryable, sql } from '../postgres/index.ts';
import type { RedriveAction, RedriveRate } from './contract.ts';

export interface Estimate {
  readonly duration_s: number | null;
  readonly finish_at: string | null;
  readonly live_delay_s: number | null;
  readonly basis: string;
}

/** Runs looked at; enough for a rate, and a bound on the work. */
const sampleSize = 20_000;

/** What the queues got done lately. */
export interface Throughput {
  readonly perSecond: number;
  readonly meanRunS: number;
}

export async function readThroughput(db: Queryable, queues: readonly string[]): Promise<Throughput> {
  const { rows } = await db.query<{ ended: number; span_s: number; run_s: number | null }>(sql`
    select count(*)::int as ended, avg(run_s)::float8 as run_s,
           greatest(1, least(300, extract(epoch from max(enqueued_at) - min(enqueued_at))))::float8 as span_s
    from (
      select enqueued_at, extract(epoch from finished_at - last_started_at) as run_s
      from ops.job_run
      where enqueued_at > clock_timestamp() - interval '5 minutes' and queue = any (${queues}::text[]) and state = 'done'
      limit ${sampleSize}) lately`);
  const { ended = 0, span_s = 300, run_s } = rows[0] ?? {};
  // A full sample says how fast they came; one that is not full, how many there were in five minutes.
  return { perSecond: ended / (ended < sampleSize ? 300 : span_s), meanRunS: run_s ?? 0 };
}

/** How long a plan takes. Retries wait behind live work, which itself waits at most for a retry that runs. Pure. */
export function estimateOf(
  plan: { action: RedriveAction; included: number; rate: RedriveRate },
  { perSecond, meanRunS }: Throughput,
  now: Date,
): Estimate {
  const { action, included, rate } = plan;
  const asked = rate === 'auto' ? Number.POSITIVE_INFINITY : rate;
  const isKnown = action === 'retry' ? perSecond > 0 || rate !== 'auto' : rate !== 'auto';
  // Workers that were idle lately are taken to keep up with what is asked.
  const rates = action === 'retry' && perSecond > 0 && rate === 'auto' ? perSecond : asked;
  const duration = isKnown ? Math.ceil(included / rates) : null;
  return {
    duration_s: duration,
    finish_at: duration === null ? null : new Date(now.getTime() + duration * 1_000).toISOString(),
    live_delay_s: action === 'retry' ? Math.round(meanRunS * 10) / 10 : 0,
    basis: basisOf(action, perSecond, rate),
  };
}

function basisOf(action: RedriveAction, perSecond: number, rate: RedriveRate): string {
  const asked = rate === 'auto' ? 'no rate asked' : `${rate} a second asked`;
  if (action !== 'retry') return asked;
  return perSecond > 0 ? `${perSecond.toFixed(1)} jobs/s over 5 min, ${asked}` : `no job ended in 5 min, ${asked}`;
}
