/** An invariant of schedules, in the shape that the doctor asks. */
interface ScheduleInvariant {
  readonly name: string;
  readonly title: string;
  readonly enforcedBy: string;
  readonly next: string;
  /** `$1`: only what came since need be looked at. */
  readonly sql: string;
}

const look = 'fmhl schedule runs <schedule>';

/** What must always be true of schedules and leases. Safe to ask at any time. */
export const scheduleInvariants: readonly ScheduleInvariant[] = [
  {
    name: 'S1',
    title: 'The ledger of a schedule holds each fire time of its rule once, and nothing else',
    enforcedBy:
      'fire times, jobs and last tick in one commit, under the lock of the schedule; unique (schedule, fire_at)',
    next: look,
    sql: `
      select r.schedule, r.fire_at, before.next_at as expected_at, 'does not follow the one before' as what
      from ops.schedule_run r
      join ops.schedule s on s.name = r.schedule
      cross join lateral (
        select b.fire_at, b.next_at from ops.schedule_run b
        where b.schedule = r.schedule and b.origin <> 'manual' and b.fire_at < r.fire_at
        order by b.fire_at desc limit 1) before
      where r.origin <> 'manual' and r.fire_at > $1::timestamptz and before.fire_at > s.ruled_since
        and before.next_at is distinct from r.fire_at
      union all
      select s.name, last.fire_at, last.next_at, 'was never recorded'
      from ops.schedule s
      cross join lateral (
        select r.fire_at, r.next_at from ops.schedule_run r where r.schedule = s.name and r.origin <> 'manual'
        order by r.fire_at desc limit 1) last
      where s.enabled and s.removed_at is null and last.next_at <= s.last_tick`,
  },
  {
    name: 'S2',
    title: 'Each run of a schedule that started has its job',
    enforcedBy: 'row and job in one commit; jobs are kept for 30 days',
    next: look,
    sql: `
      select r.schedule, r.id as run_id, r.run_key from ops.schedule_run r
      where r.started_at > greatest($1::timestamptz, clock_timestamp() - interval '29 days')
        and not exists (select from ops.job_run j where j.run_key = r.run_key)`,
  },
  {
    name: 'S3',
    title: 'Terms of a lease only grow, and each has one holder',
    enforcedBy:
      'a lease is taken only when it is over, with the next term; a trigger keeps the first holder of each term',
    next: 'look who writes to ops.lease',
    sql: `
      select l.name, l.term, l.holder from ops.lease l
      left join (select name, max(term) as term from ops.lease_term group by name) newest using (name)
      left join ops.lease_term held on held.name = l.name and held.term = l.term
      where l.term is distinct from newest.term or l.holder is distinct from held.holder
      union all
      select name, term, holder from (
        select *, lag(term) over terms as before, lag(acquired_at) over terms as before_at from ops.lease_term
        window terms as (partition by name order by term)) t
      where term <> before + 1 or acquired_at < before_at`,
  },
  {
    name: 'S4',
    title: 'Where runs of a schedule must not overlap, at most one is under way',
    enforcedBy: 'a run starts under the lock of its schedule, and waits while another is under way',
    next: look,
    sql: `
      select r.schedule, count(*) as started from ops.schedule_run r join ops.schedule s on s.name = r.schedule
      where r.state = 'started' and not s.overlap
      group by r.schedule having count(*) > 1`,
  },
];
