-- migrate:up

-- One mail that was promised. The row is the promise, the job `email-<id>` keeps it.
create table email (
  id               uuid primary key,
  dedupe_key       text not null unique,
  template         text not null,
  template_version int not null,
  to_address       text not null check (to_address !~ '[\r\n]'),
  related_type     text,
  related_id       uuid,
  variables        jsonb not null default '{}',
  status           text not null check (status = any ('{queued,sending,sent,failed,suppressed}'::text[])),
  attempts         int not null default 0,
  message_id       text,
  smtp_code        int,
  last_error       text,
  sending_since    timestamptz,
  sent_at          timestamptz,
  created_at       timestamptz not null default clock_timestamp(),
  updated_at       timestamptz not null default clock_timestamp(),
  version          int not null default 1,
  check ((status = 'sent') = (sent_at is not null))
) with (fillfactor = 80);

-- For the sweeper, which looks at the mails of a day. It does not stand in the way of HOT updates: nothing else changes created_at.
create index email_created on email using brin (created_at);
create index email_related on email (related_type, related_id) where related_id is not null;

-- Addresses that take no mail: their mailbox refused one.
create table email_suppression (
  address    text primary key check (address = lower(address)),
  reason     text not null,
  since      timestamptz not null default clock_timestamp(),
  created_at timestamptz not null default clock_timestamp()
);

-- The mails of a thing, without the address.
create view v_email as
select id, dedupe_key, template, template_version, related_type, related_id, status, attempts, smtp_code, last_error,
       created_at, sending_since, sent_at
from email;

-- migrate:down

drop view v_email;
drop table email_suppression;
drop table email;
