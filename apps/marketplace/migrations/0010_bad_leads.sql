-- migrate:up

-- What came of a lead that was bad for its buyer: reported by them and decided by the staff, or refunded without a report.
create table bad_lead_report (
  assignment_id uuid primary key references assignment,
  -- The buyer. No foreign key of its own, as in `assignment`.
  provider_id   uuid not null,
  -- Null, with `notes` and `reported_at`, when the staff refunded what nobody had reported.
  reason        text check (reason in ('spam', 'duplicate', 'unreachable', 'out_of_scope', 'other')),
  notes         text check (length(notes) <= 2000),
  status        text not null check (status in ('pending', 'approved', 'rejected')),
  -- What decided: the report, a lead that was bad for all, or goodwill.
  via           text not null check (via in ('report', 'mark_bad', 'goodwill')),
  reported_at   timestamptz,
  resolved_by   text,
  resolved_at   timestamptz,
  memo          text check (length(memo) <= 500),
  created_at    timestamptz not null default clock_timestamp(),
  updated_at    timestamptz not null default clock_timestamp(),
  version       int not null default 1,
  check ((reason is null) = (reported_at is null)),
  check (via <> 'report' or reported_at is not null),
  check (via = 'report' or status = 'approved'),
  check ((status = 'pending') = (resolved_at is null)),
  check ((resolved_at is null) = (resolved_by is null) and (resolved_at is null) = (memo is null))
);
create index bad_lead_report_list on bad_lead_report (status, created_at, assignment_id);
create index bad_lead_report_list_all on bad_lead_report (created_at, assignment_id);
create index bad_lead_report_provider on bad_lead_report (provider_id, created_at, assignment_id);

-- What was refunded stays so; only the notes, which may name a person, can be taken away.
create trigger bad_lead_report_refund_stands before update on bad_lead_report
  for each row
  when (old.status = 'approved'
        and to_jsonb(new) - '{notes,updated_at}'::text[] is distinct from to_jsonb(old) - '{notes,updated_at}'::text[])
  execute function ops.refuse_change();
create trigger bad_lead_report_never_deleted before delete on bad_lead_report
  for each statement execute function ops.refuse_change();
create trigger bad_lead_report_never_truncated before truncate on bad_lead_report
  for each statement execute function ops.refuse_change();

-- Without the notes.
create view v_bad_lead_report as
  select assignment_id, provider_id, reason, status, via, reported_at, resolved_by, resolved_at, created_at, version
  from bad_lead_report;

-- migrate:down

drop view v_bad_lead_report;
drop table bad_lead_report;
