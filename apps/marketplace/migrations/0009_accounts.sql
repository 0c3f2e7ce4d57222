-- migrate:up

-- A link that was mailed. Its token is this id with a signature, so who reads the table cannot follow the link.
create table identity.user_token (
  id         uuid primary key default gen_random_uuid(),
  user_id    uuid not null references identity.users on delete cascade,
  purpose    text not null check (purpose in ('verify_email', 'reset_password')),
  expires_at timestamptz not null,
  used_at    timestamptz,
  created_at timestamptz not null default clock_timestamp()
);
create index user_token_of_user on identity.user_token (user_id, purpose, created_at);
create index user_token_expiry on identity.user_token (expires_at);

-- What a machine signs in with. Only the hash is kept, as with sessions.
create table identity.api_token (
  id           uuid primary key default gen_random_uuid(),
  user_id      uuid not null references identity.users on delete cascade,
  name         text not null check (length(name) between 1 and 80),
  token_sha256 bytea not null unique check (length(token_sha256) = 32),
  scopes       text[] not null check (cardinality(scopes) between 1 and 100),
  expires_at   timestamptz not null,
  last_used_at timestamptz,
  revoked_at   timestamptz,
  created_at   timestamptz not null default clock_timestamp(),
  updated_at   timestamptz not null default clock_timestamp(),
  version      int not null default 1,
  check (expires_at <= created_at + interval '367 days')
) with (fillfactor = 80);
create index api_token_of_user on identity.api_token (user_id, created_at desc, id desc);
create index api_token_expiry on identity.api_token (expires_at);

create table identity.passkey (
  id            uuid primary key default gen_random_uuid(),
  user_id       uuid not null references identity.users on delete cascade,
  credential_id text not null unique check (length(credential_id) between 16 and 1400),
  public_key    bytea not null,
  sign_count    bigint not null check (sign_count >= 0),
  transports    text[] not null default '{}',
  name          text not null check (length(name) between 1 and 80),
  last_used_at  timestamptz,
  created_at    timestamptz not null default clock_timestamp(),
  updated_at    timestamptz not null default clock_timestamp(),
  version       int not null default 1
) with (fillfactor = 80);
create index passkey_of_user on identity.passkey (user_id, created_at);

-- What an authenticator is asked to sign. Taking one deletes it, so it counts once.
create table identity.passkey_challenge (
  challenge  text primary key,
  purpose    text not null check (purpose in ('register', 'sign_in')),
  user_id    uuid references identity.users on delete cascade,
  expires_at timestamptz not null,
  created_at timestamptz not null default clock_timestamp(),
  check ((purpose = 'register') = (user_id is not null))
);
create index passkey_challenge_expiry on identity.passkey_challenge (expires_at);

-- For the list of users, newest first.
create index users_created on identity.users (created_at desc, id desc);

-- migrate:down

drop index identity.users_created;
drop table identity.passkey_challenge;
drop table identity.passkey;
drop table identity.api_token;
drop table identity.user_token;
