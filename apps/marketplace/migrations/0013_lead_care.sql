-- migrate:up

-- A source of leads that somebody has judged. One that nobody has has no row.
create table lead_source (
  source     text primary key check (length(source) between 1 and 100),
  -- Null: not blocked, or no longer.
  blocked_at timestamptz,
  blocked_by text,
  memo       text not null,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  version    int not null default 1,
  check ((blocked_at is null) = (blocked_by is null))
);
create view v_lead_source as
  select source, blocked_at, blocked_by, memo from lead_source;

-- The queue of one niche. Its condition, which every lead meets and only the queue repeats, keeps it from the intake's search for an
-- earlier lead of the person: to a planner without statistics it looked as good there as `lead_email`, and was read to its end.
create index lead_list_niche on lead (niche_id, created_at, id) where confirm_nonce > 0;
-- What a niche was offered in the last weeks.
create index lead_approvals on lead (niche_id, approved_at) where approved_at is not null;

-- What of a lead decides who may buy it: no name, no address, nothing to reach the person by.
create view v_lead_demand as
  select id as lead_id, niche_id, status, area_codes, form, is_test, approved_at, erased_at from lead;

-- How often somebody has sent the mail anew: each is a mail of its own, numbered by this.
alter table email add column resends int not null default 0;
-- For the list, newest first. Nothing changes created_at, so updates stay HOT.
create index email_list on email (created_at, id);
drop index email_created;

-- migrate:down

create index email_created on email using brin (created_at);
drop index email_list;
alter table email drop column resends;
drop view v_lead_demand;
drop index lead_approvals;
drop index lead_list_niche;
drop view v_lead_source;
drop table lead_source;
