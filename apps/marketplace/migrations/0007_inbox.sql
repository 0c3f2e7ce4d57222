-- migrate:up

-- What a provider did with a lead they bought. No row: not opened yet.
create table inbox_mark (
  assignment_id  uuid primary key references assignment,
  viewed_at      timestamptz,
  decision       text check (decision in ('accepted', 'declined')),
  decided_at     timestamptz,
  decline_reason text check (length(decline_reason) <= 500),
  created_at     timestamptz not null default clock_timestamp(),
  updated_at     timestamptz not null default clock_timestamp(),
  version        int not null default 1,
  check ((decision is null) = (decided_at is null)),
  check (decline_reason is null or decision = 'declined')
);

create view v_inbox_mark as
  select assignment_id, viewed_at, decision, decided_at, decline_reason, version from inbox_mark;

-- migrate:down

drop view v_inbox_mark;
drop table inbox_mark;
