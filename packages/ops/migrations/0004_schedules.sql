-- migrate:up

-- What runs by the clock, as the scheduler last took it over from the configuration.
create table ops.schedule (
  name            text primary key check (name ~ '^[a-z][a-z0-9-]{0,59}$'),
  cron            text not null,
  time_zone       text not null,
  catch_up        text not null check (catch_up in ('none', 'last', 'all')),
  overlap         boolean not null,
  enabled         boolean not null,
  -- Every fire time up to here is recorded.
  last_tick       timestamptz not null,
  -- Since when it fires by this rule without a break.
  ruled_since     timestamptz not null,
  created_at      timestamptz not null,
  -- Null while the configuration names it.
  removed_at      timestamptz,
  last_success_at timestamptz,
  -- The last pause: it is paused until `paused_until`, or for good while that is null. It stays after its end, for ticks that are recorded late.
  paused_at       timestamptz,
  paused_by       text,
  paused_by_name  text,
  pause_reason    text,
  paused_until    timestamptz,
  check (last_tick >= ruled_since)
);

-- The expected-run ledger: one row for each fire time, written before it is due, and one for each run by hand.
create table ops.schedule_run (
  id             uuid primary key default gen_random_uuid(),
  schedule       text not null references ops.schedule,
  fire_at        timestamptz not null,
  -- The fire time that follows by the same rule. Null for runs by hand, and where the rule was changed before it.
  next_at        timestamptz check (next_at > fire_at),
  origin         text not null check (origin in ('schedule', 'manual', 'catch_up')),
  state          text not null check (state in ('expected', 'started', 'done', 'failed', 'missed', 'skipped')),
  -- Why it was missed or skipped, or the cause of death.
  reason         text,
  -- Root key of the job that does it. Null until it is due, and where nothing is to run.
  run_key        text unique,
  -- Jobs it was given: more than one where an operator caught up.
  plans          int not null default 0,
  -- A start after this is late; a job that has not started by then is missed.
  late_after     timestamptz not null,
  miss_after     timestamptz not null,
  limit_ms       bigint not null,
  late           boolean not null default false,
  overran        boolean not null default false,
  started_at     timestamptz,
  ended_at       timestamptz,
  counts         jsonb,
  dead_letter_id uuid,
  correlation_id text,
  check (state <> 'started' or (started_at is not null and run_key is not null)),
  check (state <> 'done' or (started_at is not null and ended_at is not null and counts is not null)),
  check ((state in ('missed', 'skipped', 'failed')) = (reason is not null))
);
-- A tick happens once, whoever records it.
create unique index schedule_run_tick on ops.schedule_run (schedule, fire_at) where origin <> 'manual';
create index schedule_run_list on ops.schedule_run (schedule, fire_at, id);
create index schedule_run_open on ops.schedule_run (schedule, fire_at) where state in ('expected', 'started');
create index schedule_run_age on ops.schedule_run (fire_at);

-- Who held which lease under which term: terms only grow, and each has one holder. A term that comes again is not written, so that it shows.
create table ops.lease_term (
  name        text not null,
  term        bigint not null,
  holder      uuid not null,
  acquired_at timestamptz not null default clock_timestamp(),
  primary key (name, term)
);

create function ops.record_lease_term() returns trigger language plpgsql as $$
begin
  insert into ops.lease_term (name, term, holder) values (new.name, new.term, new.holder) on conflict do nothing;
  return null;
end $$;
create trigger lease_first_term after insert on ops.lease
  for each row execute function ops.record_lease_term();
create trigger lease_next_term after update on ops.lease
  for each row when (new.term is distinct from old.term) execute function ops.record_lease_term();

insert into ops.lease_term (name, term, holder) select name, term, holder from ops.lease;

-- migrate:down

drop trigger lease_next_term on ops.lease;
drop trigger lease_first_term on ops.lease;
drop function ops.record_lease_term();
drop table ops.lease_term;
drop table ops.schedule_run;
drop table ops.schedule;
