-- migrate:up

-- The prepaid money of one provider. Beside `provider`, so that charging never waits for a foreign key's lock on it.
create table account (
  provider_id       uuid primary key references provider,
  balance_cents     bigint not null default 0 check (balance_cents >= 0),
  version           int not null default 0 check (version >= 0),
  low_balance_cents bigint check (low_balance_cents >= 0),
  -- Set when the balance falls below the threshold, cleared when it is back: one note per crossing.
  low_alerted_at    timestamptz,
  created_at        timestamptz not null default clock_timestamp(),
  updated_at        timestamptz not null default clock_timestamp()
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);

create table payment (
  id           uuid primary key default gen_random_uuid(),
  provider_id  uuid not null references provider,
  gateway      text check (length(gateway) between 1 and 40),
  external_id  text check (length(external_id) between 1 and 200),
  amount_cents bigint not null check (amount_cents > 0),
  status       text not null check (status in ('pending', 'succeeded', 'failed', 'expired')),
  version      int not null default 1,
  created_at   timestamptz not null default clock_timestamp(),
  updated_at   timestamptz not null default clock_timestamp(),
  unique (gateway, external_id),
  check ((gateway is null) = (external_id is null)),
  check (status <> 'succeeded' or external_id is not null)
);
create index payment_provider on payment (provider_id, created_at);

-- The balance ledger. Entries of one account are numbered 1, 2, 3 … by the account's version.
create table ledger_entry (
  id                  uuid primary key default gen_random_uuid(),
  provider_id         uuid not null references account,
  account_version     int not null check (account_version > 0),
  kind                text not null,
  amount_cents        bigint not null,
  balance_after_cents bigint not null check (balance_after_cents >= 0),
  -- No foreign key: the statement that writes the charge writes the assignment too.
  assignment_id       uuid,
  payment_id          uuid references payment,
  actor               text not null,
  memo                text,
  correlation_id      text not null,
  created_at          timestamptz not null default clock_timestamp(),
  unique (provider_id, account_version),
  check (case when kind in ('deposit', 'lead_refund', 'manual_credit') then amount_cents > 0
              when kind in ('lead_charge', 'manual_debit') then amount_cents < 0 else false end),
  check ((kind in ('lead_charge', 'lead_refund')) = (assignment_id is not null)),
  check ((kind = 'deposit') = (payment_id is not null))
);
create unique index ledger_entry_charge on ledger_entry (assignment_id) where kind = 'lead_charge';
create unique index ledger_entry_refund on ledger_entry (assignment_id) where kind = 'lead_refund';
create unique index ledger_entry_deposit on ledger_entry (payment_id) where kind = 'deposit';

create trigger ledger_entry_append_only before update or delete on ledger_entry
  for each statement execute function ops.refuse_change();
create trigger ledger_entry_never_truncated before truncate on ledger_entry
  for each statement execute function ops.refuse_change();

create view v_account as
  select provider_id, balance_cents, version, low_balance_cents, low_alerted_at, updated_at from account;

create view v_ledger_entry as
  select id, provider_id, account_version, kind, amount_cents, balance_after_cents, assignment_id, payment_id,
         actor, memo, correlation_id, created_at
  from ledger_entry;

-- migrate:down

drop view v_ledger_entry;
drop view v_account;
drop table ledger_entry;
drop table payment;
drop table account;
