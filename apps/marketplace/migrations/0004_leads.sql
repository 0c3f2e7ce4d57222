-- migrate:up

-- niche_id has no foreign key: niches are never deleted, the intake reads its niche before it writes, and the key-share lock of
-- each insert on one hot row would be the most contended lock of the house.
create table lead (
  -- the person
  id                 uuid primary key,
  niche_id           uuid not null,
  -- One array constant rather than `in (…)`: each insert reads the text of every check anew.
  status             text not null default 'pending_confirmation' check (status = any
                       ('{pending_confirmation,pending_approval,approved,distributed,unsold,rejected,expired,bad}'::text[])),
  name               text,
  email              text,
  email_norm         text,
  phone_e164         text,
  area_codes         text[] not null default '{}',
  form               jsonb not null default '{}',
  source             text,
  campaign           text,
  utm                jsonb,
  ip                 inet,
  is_test            boolean not null default false,
  duplicate_of       uuid references lead,
  risk_flags         text[] not null default '{}',
  idempotency_key    text,
  request_sha256     text,
  erased_at          timestamptz,
  correlation_id     text not null,
  -- its life
  confirm_nonce      int not null default 1 check (confirm_nonce between 1 and 4),
  confirm_expires_at timestamptz not null,
  confirmed_at       timestamptz,
  approved_by        text,
  approved_at        timestamptz,
  rejected_by        text,
  rejected_at        timestamptz,
  reject_reason      text,
  sale_no            int not null default 0,
  -- Who asked for the sale of this number.
  sale_trigger       text not null default 'approved' check (sale_trigger = any ('{approved,admin,retry}'::text[])),
  start_ord          int,
  assigned_count     int not null default 0,
  recipient_cap      int,
  distributed_at     timestamptz,
  unsold_tries       int not null default 0,
  next_try_at        timestamptz,
  sale_verdict       text check (sale_verdict = any ('{in_time,late}'::text[])),
  bad_by             text,
  bad_at             timestamptz,
  bad_memo           text,
  created_at         timestamptz not null default clock_timestamp(),
  updated_at         timestamptz not null default clock_timestamp(),
  version            int not null default 1,
  check (assigned_count between 0 and coalesce(recipient_cap, 0)),
  check (approved_at is not null or status <> all ('{approved,distributed,unsold}'::text[]))
) with (fillfactor = 80);

create unique index lead_once on lead (niche_id, idempotency_key) where idempotency_key is not null;
create index lead_email on lead (niche_id, email_norm, created_at) where email_norm is not null;
create index lead_phone on lead (niche_id, phone_e164, created_at) where phone_e164 is not null;
create index lead_ip on lead (ip, created_at) where ip is not null;
create index lead_list on lead (status, created_at, id);
create index lead_list_all on lead (created_at, id);
create index lead_list_source on lead (source, created_at, id) where source is not null;
create index lead_list_flagged on lead (created_at, id) where risk_flags <> '{}';
create index lead_for_sale on lead (approved_at) where status in ('approved', 'unsold');
create index lead_duplicates on lead (duplicate_of) where duplicate_of is not null;

-- What the person agreed to, and how. Never changed.
create table lead_consent (
  lead_id      uuid primary key references lead,
  text_version int not null,
  text_sha256  text not null,
  page_url     text,
  ip           inet,
  user_agent   text,
  consented_at timestamptz not null default clock_timestamp(),
  created_at   timestamptz not null default clock_timestamp()
);
create trigger lead_consent_append_only before update or delete on lead_consent
  for each statement execute function ops.refuse_change();
create trigger lead_consent_never_truncated before truncate on lead_consent
  for each statement execute function ops.refuse_change();

-- A lead without its person.
create view v_lead as
select id, niche_id, status, area_codes, source, campaign, is_test, duplicate_of, risk_flags, erased_at, correlation_id,
       confirmed_at, approved_at, rejected_at, sale_no, start_ord, assigned_count, recipient_cap, distributed_at, unsold_tries,
       next_try_at, sale_verdict, bad_at, created_at, updated_at, version
from lead;

-- The person, for those who may see them: a provider who bought the lead.
create view v_lead_person as
select id as lead_id, niche_id, name, email, phone_e164, area_codes, form, erased_at, created_at
from lead;

-- migrate:down

drop view v_lead_person;
drop view v_lead;
drop table lead_consent;
drop table lead;
