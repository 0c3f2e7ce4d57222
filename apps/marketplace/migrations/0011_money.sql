-- migrate:up

-- One comparison of every balance with its ledger; also when all agreed.
create table reconciliation_run (
  id               uuid primary key,
  started_at       timestamptz not null default clock_timestamp(),
  -- Null while it runs, and for ever if it crashed.
  finished_at      timestamptz,
  -- Sums and counts of the one snapshot that was compared.
  providers        int,
  balance_cents    bigint,
  ledger_cents     bigint,
  within_tolerance int,
  corrected        int,
  corrected_cents  bigint,
  alerted          int,
  open_cases       int,
  correlation_id   text not null
);
create index reconciliation_run_finished on reconciliation_run (finished_at desc) where finished_at is not null;

-- A balance that differed from its ledger, and what was done. `alerted` is a case: it stays open until a person reconciles the account.
create table balance_correction (
  id              uuid primary key default gen_random_uuid(),
  -- No foreign key: a run may crash before it has its row. Null when a person asked.
  run_id          uuid,
  provider_id     uuid not null references account,
  cached_cents    bigint not null,
  ledger_cents    bigint not null,
  diff_cents      bigint not null check (diff_cents = cached_cents - ledger_cents),
  action          text not null check (action in ('corrected', 'alerted', 'reconciled')),
  cause           text not null check (cause in ('difference', 'broken_chain', 'below_zero')),
  -- The first entry that does not follow from those before it; null when all do. What is wrong lies from there to `last_version`.
  broken_version  int,
  last_version    int not null,
  actor           text not null,
  memo            text,
  closed_at       timestamptz,
  closed_by       text,
  close_memo      text,
  correlation_id  text not null,
  created_at      timestamptz not null default clock_timestamp(),
  -- Small differences alone are corrected by a machine, and no balance is set below zero.
  constraint balance_correction_small check
    (action <> 'corrected' or (abs(diff_cents) between 2 and 100 and cause = 'difference' and run_id is not null)),
  constraint balance_correction_possible check (action = 'alerted' or ledger_cents >= 0),
  check (action <> 'reconciled' or memo is not null),
  check (closed_at is null or action = 'alerted'),
  check ((closed_at is null) = (closed_by is null)),
  check (broken_version <= last_version)
);
create unique index balance_correction_open on balance_correction (provider_id) where action = 'alerted' and closed_at is null;
create index balance_correction_provider on balance_correction (provider_id, created_at);
create index balance_correction_created on balance_correction (created_at desc, id desc);
create index balance_correction_run on balance_correction (run_id);

-- What was found is fixed; a case is closed once.
create trigger balance_correction_fixed before update on balance_correction
  for each row
  when (old.closed_at is not null
        or to_jsonb(new) - '{closed_at,closed_by,close_memo}'::text[] is distinct from to_jsonb(old) - '{closed_at,closed_by,close_memo}'::text[])
  execute function ops.refuse_change();
create trigger balance_correction_never_deleted before delete on balance_correction
  for each statement execute function ops.refuse_change();
create trigger balance_correction_never_truncated before truncate on balance_correction
  for each statement execute function ops.refuse_change();

-- What a gateway told, by its own id of the telling: told again, it changes nothing.
create table payment_event (
  gateway     text not null check (length(gateway) between 1 and 40),
  event_id    text not null check (length(event_id) between 1 and 200),
  payment_id  uuid not null references payment,
  status      text not null check (status in ('pending', 'succeeded', 'failed', 'expired')),
  body_sha256 bytea not null check (length(body_sha256) = 32),
  -- Whether it moved the payment; a telling that came too late or out of order does not.
  changed     boolean not null,
  created_at  timestamptz not null default clock_timestamp(),
  primary key (gateway, event_id)
);
create index payment_event_payment on payment_event (payment_id, created_at);

-- For what waits for the gateway, and its age.
create index payment_listed on payment (status, created_at, id);

-- With all that a look for those who could pay again needs: it goes over every sleeper, every five minutes.
drop index subscription_unfunded;
create index subscription_unfunded on subscription (provider_id) include (level_id) where status = 'paused_funds';

-- What an administrator's pause interrupted: a pause of its owner's own is there again when it ends.
alter table subscription add column paused_from text check (paused_from in ('active', 'paused_user', 'paused_funds'));

create view v_payment as
  select id, provider_id, gateway, external_id, amount_cents, status, created_at, updated_at from payment;
create view v_balance_correction as
  select id, run_id, provider_id, cached_cents, ledger_cents, diff_cents, action, cause, broken_version, last_version, actor, memo,
         closed_at, closed_by, close_memo, created_at
  from balance_correction;
create view v_reconciliation_run as
  select id, started_at, finished_at, providers, balance_cents, ledger_cents, within_tolerance, corrected, corrected_cents, alerted,
         open_cases
  from reconciliation_run;

-- migrate:down

drop view v_reconciliation_run, v_balance_correction, v_payment;
alter table subscription drop column paused_from;
drop index subscription_unfunded;
create index subscription_unfunded on subscription (provider_id) where status = 'paused_funds';
drop index payment_listed;
drop table payment_event;
drop table balance_correction;
drop table reconciliation_run;
