import { type Sql, sql } from '../postgres/index.ts';

/** What the newest letter of the dead run `r` says of the death. */
const toldByLetter = sql`
  (select jsonb_build_object('type', l.error_type, 'message', l.error_message, 'code', l.error_code, 'stack', coalesce(l.stack_trace, ''))
   from ops.dead_letter_queue l
   where l.source = 'queue' and l.queue_name = left(r.queue, 100) and l.root_key = r.root_key and l.run_key = r.run_key::text)`;

/**
 * The attempts of the run `r` of `ops.job_run` that ended without success, as `attempts_history`. The one a run died of is in no entry of its
 * own: columns of the run tell of it, and its letter until that has a newer death to tell.
 */
export const attemptsHistory: Sql = sql`
  case when r.state = 'dead' and r.started > 0 and r.attempts_history -> -1 ->> 'outcome' is distinct from 'died'
    then coalesce(r.attempts_history, '[]') || jsonb_build_object(
      'attempt', r.started, 'started_at', r.last_started_at, 'ended_at', r.died_at, 'worker', r.worker, 'outcome', 'died',
      'cause', r.cause, 'error', coalesce(r.last_error, ${toldByLetter}))
    else r.attempts_history end as attempts_history`;
