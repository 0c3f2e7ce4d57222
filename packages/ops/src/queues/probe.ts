import { randomUUID } from 'node:crypto';
import { sql, type Tx } from '../postgres/index.ts';
import { PermanentError } from './outcome.ts';

/** The kind of job that dies on purpose, before any code of the host runs: it shows that deaths are captured. */
export const probeKind = '__probe';

/** What a probe dies of. */
export class ProbeDeath extends PermanentError {
  override name = 'ProbeDeath';

  constructor() {
    super('a probe: it dies on purpose');
  }
}

/** Plans a probe in a queue, and answers its run key. It is no business of the host, so no kind of the queue describes it. */
export async function enqueueProbe(tx: Tx, queue: string): Promise<string> {
  const runKey = `probe-${queue}-${randomUUID()}`;
  const meta = { correlation_id: runKey.slice(0, 64), enqueued_at: new Date().toISOString() };
  const envelope = JSON.stringify({ v: 1, run: runKey, root: runKey, meta, body: {} });
  await tx.query(sql`
    with planned as (
      insert into ops.job_run (run_key, root_key, queue, kind, max_attempts, correlation_id)
      values (${runKey}, ${runKey}, ${queue}, ${probeKind}, 1, ${meta.correlation_id}))
    insert into ops.job_outbox (run_key, queue, envelope) values (${runKey}, ${queue}, ${envelope})`);
  tx.wake('jobs');
  return runKey;
}
