import type { Invariant } from './invariant.ts';

/** Letters that died, were closed or acted on since `$1`. */
const touched = `
  touched as (
    select id from ops.dead_letter_queue where failed_at >= $1::timestamptz or resolved_at >= $1::timestamptz
    union
    select l.id from ops.audit_log a
    join ops.dead_letter_queue l on l.id = case when pg_input_is_valid(a.target_id, 'uuid') then a.target_id::uuid end
    where a.target_type = 'dead_letter' and a.at >= $1::timestamptz and $1::timestamptz > '-infinity')`;

/** Runs that are done go 30 days after their start: of older letters the missing ones say nothing. */
const isRemembered = `l.source = 'queue' and l.created_at > now() - interval '29 days'`;

const runOf = (generation: string): string => `'dlq-' || l.id || '-r' || ${generation}`;

/** Acts on a letter that move its version on. Looking at it and noting do not. */
const versioned = `
  ('dlq.job_retried', 'dlq.entry_resolved', 'dlq.entry_discarded', 'dlq.entry_restored', 'dlq.snoozed', 'dlq.snooze_ended',
   'dlq.assigned', 'dlq.ticket_linked')`;

/** States of a redrive that holds its letters. */
const holding = `('waiting', 'canary', 'running', 'paused', 'stopped', 'aborting')`;

/** What Postgres alone can tell of dead letters and redrives. They hold at every moment, also in the middle of a fault. */
export const letterInvariants: readonly Invariant[] = [
  {
    name: 'D1',
    title: 'Every dead run has its letter, and every letter its dead run, unless Postgres never knew the job',
    enforcedBy: 'the letter is written in the commit of the verdict; one letter for each root key by a unique index',
    next: 'fmhl dlq proof, then repair it there: the sweep captures what is in Redis still',
    sql: `
      with ${touched}
      select r.run_key::text as id, 'no letter' as lacks from ops.job_run r
      where r.died_at >= $1::timestamptz and r.dlq_id is null and not exists (
        select from ops.dead_letter_queue l
        where l.source = 'queue' and l.queue_name = left(r.queue, 100) and l.root_key = r.root_key)
      union all
      select r.run_key::text, 'no letter' from ops.job_run r
      where r.died_at >= $1::timestamptz and r.dlq_id is not null
        and not exists (select from ops.dead_letter_queue l where l.id = r.dlq_id)
      union all
      select l.id::text, 'no dead run' from ops.dead_letter_queue l
      where l.id in (select id from touched) and l.source = 'queue' and l.run_key is not null
        and l.cause not in ('orphaned', 'unreadable')
        and not exists (select from ops.job_run r where r.run_key = l.run_key and r.state = 'dead')`,
  },
  {
    name: 'D3',
    title: 'A letter that is retrying has an open run of its generation',
    enforcedBy: 'claim and run are written in one statement; the verdict of the run moves the letter on',
    next: 'fmhl dlq inspect <id>; resolve it or retry it by hand once it is pending again',
    sql: `
      with ${touched}
      select l.id, l.generation from ops.dead_letter_queue l
      where l.state = 'retrying' and l.source = 'queue' and l.id in (select id from touched)
        and not exists (select from ops.job_run r where r.run_key = ${runOf('l.generation')} and r.state = 'enqueued')`,
  },
  {
    name: 'D4',
    title: 'A letter has as many retries as its generation says, and at most one of them succeeded',
    enforcedBy: 'the generation is part of the key of the run that each claim writes',
    next: 'fmhl dlq inspect <id>: its attempts show which run is too many or missing',
    sql: `
      with ${touched}
      select l.id, l.generation, made.runs, made.succeeded
      from ops.dead_letter_queue l
      cross join lateral (
        select count(*) as runs, count(*) filter (where r.state = 'done') as succeeded
        from generate_series(1, l.generation + 1) g join ops.job_run r on r.run_key = ${runOf('g')}) made
      where l.id in (select id from touched) and ${isRemembered} and (made.runs <> l.generation or made.succeeded > 1)`,
  },
  {
    name: 'D5',
    title: 'A letter is closed as retried exactly when the run of its generation is done',
    enforcedBy: 'a trigger closes the letter in the commit of the success',
    next: 'fmhl dlq inspect <id>: an open letter whose work is done may be resolved',
    sql: `
      with ${touched}
      select l.id, l.state, r.state as run_state from ops.dead_letter_queue l
      left join ops.job_run r on r.run_key = ${runOf('l.generation')}
      where l.id in (select id from touched) and ${isRemembered}
        and coalesce(l.resolution ->> 'how' = 'retried', false) <> coalesce(r.state = 'done', false)`,
  },
  {
    name: 'D6',
    title: 'Every change of a letter has its audit row, or the verdict of a run',
    enforcedBy: 'both are written in the statement of the change',
    next: 'fmhl audit list --target dead_letter:<id>: who changed it left no row, and worked past the application',
    sql: `
      with ${touched}
      select l.id, l.version, acts.n as acts, verdicts.n as verdicts
      from ops.dead_letter_queue l
      cross join lateral (
        select count(*) as n from ops.audit_log a
        where a.target_type = 'dead_letter' and a.target_id = l.id::text and a.action in ${versioned}) acts
      cross join lateral (
        select count(*) as n from generate_series(1, l.generation) g
        join ops.job_run r on r.run_key = ${runOf('g')} where r.state <> 'enqueued') verdicts
      -- Work that Postgres had lost and that died once more opens its letter again.
      cross join lateral (
        select count(*) as n from ops.job_run r
        where r.run_key = l.root_key and r.dlq_id is null and r.died_at > l.created_at) again
      where l.id in (select id from touched) and ${isRemembered}
        and l.version <> 1 + acts.n + verdicts.n + again.n`,
  },
  {
    name: 'D8',
    title: 'The items of a redrive are its plan, none is sent twice, and no letter is held by two redrives',
    enforcedBy: 'the plan is frozen in one transaction; each send is one commit with its item',
    next: 'fmhl redrive abort <id>, then plan anew',
    sql: `
      with recent as materialized (
        select id, action, included from ops.redrive
        where (created_at >= $1::timestamptz or state in ${holding})
          -- Items of old redrives are removed before their redrive is.
          and coalesce(ended_at, created_at) > now() - interval '89 days'),
      items as materialized (
        select redrive_id, ord, letter_id, outcome, generation, enqueued_at, decided_at from ops.redrive_item
        where redrive_id in (select id from recent)
          and ($1::timestamptz = '-infinity' or enqueued_at >= $1::timestamptz or decided_at >= $1::timestamptz))
      select r.id::text as redrive_id, null::bigint as item, 'not as many items as planned' as fault from recent r
      where r.included <> (select count(*) from ops.redrive_item i where i.redrive_id = r.id)
      union all
      select i.redrive_id::text, i.ord, 'not sent once' from items i
      where (i.enqueued_at is not null)::int <> (
        select count(*) from ops.audit_log a
        where a.target_type = 'dead_letter' and a.target_id = i.letter_id::text and a.details ->> 'redrive_id' = i.redrive_id::text)
      union all
      select i.redrive_id::text, i.ord, 'succeeded without a run' from items i join recent r on r.id = i.redrive_id
      where r.action = 'retry' and i.outcome = 'succeeded' and i.decided_at > now() - interval '29 days'
        and not exists (
          select from ops.job_run j where j.run_key = 'dlq-' || i.letter_id || '-r' || i.generation and j.state = 'done')
      union all
      select string_agg(i.redrive_id::text, ' '), min(i.ord), 'held by two redrives' from ops.redrive_item i
      join ops.redrive r on r.id = i.redrive_id
      where i.outcome in ('planned', 'enqueued') and r.state in ${holding}
      group by i.letter_id having count(*) > 1`,
  },
  {
    name: 'D9',
    title: 'The hash of a payload is that of what is stored',
    enforcedBy: 'capture writes both in one statement; edits add versions and change none',
    next: 'fmhl audit verify, and ask who may write ops.dead_letter_payload',
    sql: `
      with ${touched}
      select letter_id, version from ops.dead_letter_payload
      where letter_id in (select id from touched) and encoding <> 'escaped'
        and sha256 <> encode(sha256(coalesce(convert_to(body, 'UTF8'), bytes)), 'hex')`,
  },
];
