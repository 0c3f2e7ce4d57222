-- migrate:up

create table identity.totp_secret (
  user_id        uuid primary key references identity.users on delete cascade,
  -- Sealed under TOKEN_KEY: who reads the table makes no codes with it.
  secret_sealed  text not null,
  confirmed_at   timestamptz,
  -- Codes of this time step (30 s each, from 1970 on) and of all before it have been used.
  last_used_step bigint not null default 0,
  created_at     timestamptz not null default clock_timestamp(),
  updated_at     timestamptz not null default clock_timestamp()
);

-- Only signatures of the codes are kept.
create table identity.recovery_code (
  user_id   uuid not null references identity.users on delete cascade,
  code_hash text not null,
  used_at   timestamptz,
  primary key (user_id, code_hash)
);

-- Attempts to sign in that failed, or are still under way. Kept for a day, judged over 15 minutes.
create table identity.login_failure (
  id          bigint generated always as identity primary key,
  -- A signature of the address or the user that was tried, never the address itself.
  account_key text not null,
  ip          text not null,
  at          timestamptz not null
);
create index login_failure_of_account on identity.login_failure (account_key, at);
create index login_failure_of_ip on identity.login_failure (ip, at);
create index login_failure_at on identity.login_failure (at);

-- How often a code was tried in this session: at most five times.
alter table identity.session add column code_attempts smallint not null default 0;

-- migrate:down

alter table identity.session drop column code_attempts;
drop table identity.login_failure;
drop table identity.recovery_code;
drop table identity.totp_secret;
