import type { Invariant } from './invariant.ts';

/** What Postgres alone can tell of runs. They hold at every moment, also in the middle of a fault. */
export const jobInvariants: readonly Invariant[] = [
  {
    name: 'J2',
    title: 'Every open run has a row in the outbox, and every row there is of an open run',
    enforcedBy: 'run and row are written in one statement, and the row goes with the verdict',
    next: 'fmhl job show <queue> <run_key>; a run without its row is never dispatched again: ask for its work anew',
    sql: `
      select o.run_key, 'no open run' as lacks from ops.job_outbox o
      where not exists (select from ops.job_run r where r.run_key = o.run_key and r.state = 'enqueued')
      union all
      select r.run_key::text, 'no outbox row' from ops.job_run r
      where r.state = 'enqueued' and r.enqueued_at >= $1::timestamptz
        and not exists (select from ops.job_outbox o where o.run_key = r.run_key)`,
  },
  {
    name: 'J3',
    title: 'Run keys hold no colon and are not all digits, and every run has a root key',
    enforcedBy: 'the domain of the column; enqueue refuses such keys',
    next: 'find the statement that wrote the run: Redis would refuse or confuse its id',
    sql: `
      select run_key::text from ops.job_run
      where enqueued_at >= $1::timestamptz and (run_key::text ~ ':' or run_key::text ~ '^[0-9]+$' or root_key = '')`,
  },
  {
    name: 'J4',
    title: 'A piece of work succeeds at most once: of the runs of a root key one at most is done',
    enforcedBy: 'the verdict is committed with the effect, and a letter is claimed by one',
    next: 'compare the effects of both runs; what happened twice outside of Postgres must be undone by hand',
    sql: `
      select root_key, count(*) as done from ops.job_run
      where state = 'done' and enqueued_at >= $1::timestamptz group by root_key having count(*) > 1
      union
      select r.root_key, 2 from ops.job_run r
      where r.state = 'done' and r.generation > 0 and r.enqueued_at >= $1::timestamptz
        and exists (select from ops.job_run f where f.run_key = r.root_key and f.state = 'done')`,
  },
  {
    name: 'J6',
    title: 'Of an open run at most three starts ended without a word',
    enforcedBy: 'a check of the table, and the statement that begins an attempt',
    next: 'fmhl job show <queue> <run_key>; it should have died as crash_loop',
    sql: `
      select r.run_key::text, r.started, r.finished from ops.job_outbox o join ops.job_run r using (run_key)
      where r.state = 'enqueued' and not r.started - r.finished between 0 and 3`,
  },
];
