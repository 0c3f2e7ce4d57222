-- migrate:up

create schema identity;

create table identity.users (
  id                uuid primary key default gen_random_uuid(),
  email             text not null check (length(email) between 3 and 254),
  email_norm        text not null unique,
  password_hash     text not null,
  display_name      text not null,
  role              text not null check (role in ('admin', 'viewer', 'responder', 'finance', 'provider')),
  status            text not null default 'active' check (status in ('active', 'disabled')),
  email_verified_at timestamptz,
  last_login_at     timestamptz,
  created_at        timestamptz not null default clock_timestamp(),
  updated_at        timestamptz not null default clock_timestamp(),
  version           int not null default 1
);
create index users_role on identity.users (role) where role <> 'provider';

-- Only the hash of a token is kept: who reads the table cannot sign in with it.
create table identity.session (
  id              uuid primary key default gen_random_uuid(),
  user_id         uuid not null references identity.users on delete cascade,
  token_sha256    bytea not null unique check (length(token_sha256) = 32),
  kind            text not null default 'full' check (kind in ('full', 'mfa_pending')),
  mfa_at          timestamptz,
  ip              text,
  user_agent      text,
  last_seen_at    timestamptz not null default clock_timestamp(),
  idle_expires_at timestamptz not null,
  expires_at      timestamptz not null,
  revoked_at      timestamptz,
  created_at      timestamptz not null default clock_timestamp(),
  updated_at      timestamptz not null default clock_timestamp(),
  version         int not null default 1
) with (fillfactor = 80);
create index session_of_user on identity.session (user_id) where revoked_at is null;
create index session_expiry on identity.session (expires_at);

-- What other features may know of a user.
create view public.v_user as
  select id, email, display_name, role, status, email_verified_at from identity.users;

-- migrate:down

drop view public.v_user;
drop table identity.session;
drop table identity.users;
drop schema identity;
