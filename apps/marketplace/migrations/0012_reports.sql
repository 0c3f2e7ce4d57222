-- migrate:up

-- A file that somebody asked for, and how far it is. The row is claimed under a new `storage_key` before a byte is written, so a file that
-- no row names does not exist for anybody.
create table export_job (
  id            uuid primary key,
  requested_by  uuid not null references identity.users,
  -- Set: the own rows of this provider. Null: those of the whole market, for the staff.
  provider_id   uuid references provider,
  type          text not null,
  -- The range of the rows: `from`, included, and `to`, excluded.
  filters       jsonb not null check (filters ?& '{from,to}'::text[]),
  as_of         timestamptz not null default clock_timestamp(),
  status        text not null default 'pending'
                  check (status in ('pending', 'processing', 'completed', 'failed', 'cancelled', 'expired')),
  rows_done     bigint not null default 0 check (rows_done >= 0),
  -- How many rows there are, counted when the work began.
  rows_estimate bigint,
  progress_at   timestamptz,
  -- The file, also one that is not whole; null once it is removed.
  storage_key   text unique,
  bytes         bigint,
  sha256        text check (length(sha256) = 64),
  completed_at  timestamptz,
  expires_at    timestamptz,
  -- A fixed word of ours, never a text of others.
  error         text check (error ~ '^[a-z_]{1,40}$'),
  correlation_id text not null,
  created_at    timestamptz not null default clock_timestamp(),
  updated_at    timestamptz not null default clock_timestamp(),
  version       int not null default 1,
  constraint export_job_type_fits
    check (type = any (case when provider_id is null then '{leads,assignments,ledger}'::text[] else '{inbox,balance}'::text[] end)),
  constraint export_job_completed_is_whole
    check (status <> 'completed' or (storage_key is not null and bytes is not null and sha256 is not null and expires_at is not null)),
  check ((status = 'failed') = (error is not null))
) with (fillfactor = 70);
create index export_job_list on export_job (created_at desc, id desc);
create index export_job_provider on export_job (provider_id, created_at desc, id desc) where provider_id is not null;
create index export_job_requester on export_job (requested_by, created_at desc);
create index export_job_open on export_job (created_at) where status in ('pending', 'processing');
create index export_job_file on export_job (expires_at) where storage_key is not null;

create view v_export_job as
  select id, requested_by, provider_id, type, status, rows_done, rows_estimate, progress_at, storage_key, bytes, completed_at, expires_at,
         error, created_at, updated_at
  from export_job;

-- What reports walk: sales of a time, and approvals of a time. The exact index takes the place of the coarse one, for which pages of an
-- export of a million assignments would each read the whole range.
create index assignment_sold on assignment (assigned_at, id);
drop index assignment_assigned;
create index lead_approved on lead (approved_at) where approved_at is not null;

-- How long a subscription has existed: one that is new has not starved.
create view v_subscription_since as select id as subscription_id, created_at from subscription;

-- migrate:down

drop view v_subscription_since;
drop index lead_approved;
create index assignment_assigned on assignment using brin (assigned_at);
drop index assignment_sold;
drop view v_export_job;
drop table export_job;
