-- migrate:up

-- What each scheduled look at the invariants found. The newest is what metrics show, and what the next look goes on from.
create table ops.invariant_run (
  id       bigint generated always as identity primary key,
  begun_at timestamptz not null,
  ended_at timestamptz not null default clock_timestamp(),
  -- Whether it looked at everything, and not only at what changed.
  is_full  boolean not null,
  -- [{ name, state, reason, rows, count, since, ms }]
  probes   jsonb not null
);
create index invariant_run_begun on ops.invariant_run (begun_at);

-- migrate:down

drop table ops.invariant_run;
