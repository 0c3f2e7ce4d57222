-- migrate:up

-- The level at which the next lead of a niche starts.
create table rotation (
  niche_id       uuid primary key references niche,
  next_start_ord int not null,
  created_at     timestamptz not null default clock_timestamp(),
  updated_at     timestamptz not null default clock_timestamp(),
  version        int not null default 1
);

-- One attempt to sell a lead, with the trace of its decisions.
create table distribution_run (
  id             uuid primary key,
  lead_id        uuid not null references lead,
  sale_no        int not null,
  attempt        int not null check (attempt > 0),
  trigger        text not null check (trigger in ('approved', 'admin', 'retry')),
  start_ord      int,
  outcome        text not null check (outcome in ('distributed', 'unsold', 'niche_paused')),
  matched        int not null default 0,
  assigned       int not null default 0,
  skipped        jsonb not null default '{}',
  steps          jsonb not null default '[]',
  ms             int not null,
  correlation_id text not null,
  created_at     timestamptz not null default clock_timestamp()
);
create index distribution_run_lead on distribution_run (lead_id, created_at);

-- One lead sold to one provider, on the terms of that moment.
create table assignment (
  id              uuid primary key default gen_random_uuid(),
  lead_id         uuid not null references lead,
  -- No foreign key of its own: the subscription's provider never changes, and one lock less is taken for each sale.
  provider_id     uuid not null,
  subscription_id uuid not null references subscription,
  level_id        uuid not null references level,
  price_cents     bigint not null check (price_cents > 0),
  slot            int not null check (slot > 0),
  slot_cap        int not null,
  cap_day         date not null,
  cap_n           int not null check (cap_n > 0),
  -- Null when the subscription had no daily cap.
  cap_limit       int,
  assigned_at     timestamptz not null default clock_timestamp(),
  refunded_at     timestamptz,
  created_at      timestamptz not null default clock_timestamp(),
  constraint assignment_once_a_provider unique (lead_id, provider_id),
  constraint assignment_once_a_slot unique (lead_id, slot),
  constraint assignment_within_the_day unique (subscription_id, cap_day, cap_n),
  constraint assignment_promise_kept check (slot <= slot_cap),
  constraint assignment_cap_kept check (cap_n <= cap_limit)
);
-- For the sweeper, which looks at the assignments of a day.
create index assignment_assigned on assignment using brin (assigned_at);
create index assignment_inbox on assignment (provider_id, assigned_at desc, id desc);

-- The terms of a sale are fixed; `refunded_at` is set once.
create trigger assignment_terms_fixed before update on assignment
  for each row
  when (old.refunded_at is not null or to_jsonb(new) - 'refunded_at' is distinct from to_jsonb(old) - 'refunded_at')
  execute function ops.refuse_change();
create trigger assignment_never_deleted before delete on assignment
  for each statement execute function ops.refuse_change();
create trigger assignment_never_truncated before truncate on assignment
  for each statement execute function ops.refuse_change();

create view v_assignment as
  select id, lead_id, provider_id, subscription_id, level_id, price_cents, slot, slot_cap, cap_day, cap_n, cap_limit,
         assigned_at, refunded_at
  from assignment;

create view v_distribution_run as
  select id, lead_id, sale_no, attempt, trigger, start_ord, outcome, matched, assigned, skipped, steps, ms, correlation_id,
         created_at
  from distribution_run;

-- migrate:down

drop view v_distribution_run;
drop view v_assignment;
drop table assignment;
drop table distribution_run;
drop table rotation;
