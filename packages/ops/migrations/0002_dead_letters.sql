-- migrate:up

-- A job (later also an event) that will not be tried again by itself: one row per piece of work, whatever its retries do.
-- `resolved` follows `state`, so the two cannot disagree. No index names `state`, `version` or `generation`: claiming a letter and
-- putting it back touch no index, where the page has room for both versions: a letter with a stack of 1 kB needs two fifths of it free
-- (with one fifth, every third claim of neighbours wrote to eight indexes).
create table ops.dead_letter_queue (
  id              uuid primary key default gen_random_uuid(),
  source          text not null default 'queue' check (source in ('queue', 'stream')),
  queue_name      varchar(100) not null,
  kind            text not null,
  job_id          varchar(100),
  root_key        text not null,
  -- The run that died last; null for what only Redis knew.
  run_key         text,
  state           text not null default 'pending'
                    check (state in ('pending', 'snoozed', 'retrying', 'resolved', 'discarded')),
  -- Retries made so far.
  generation      int not null default 0,
  version         int not null default 1,
  cause           text not null,
  payload         jsonb,
  payload_bytes   int not null default 0,
  -- Version of `ops.dead_letter_payload` that the next retry runs with.
  payload_version int not null default 0,
  error_type      text not null,
  error_message   text not null,
  error_code      text,
  stack_trace     text,
  fingerprint     text not null,
  attempts        int not null,
  failed_at       timestamptz not null,
  first_failed_at timestamptz not null,
  created_at      timestamptz not null default clock_timestamp(),
  resolved        boolean not null generated always as (state in ('resolved', 'discarded')) stored,
  resolved_at     timestamptz,
  -- Null when no user acted. A host with users adds its foreign key.
  resolved_by     uuid,
  -- { how: retried | manual | discarded | already_done | probe, by, by_name, reason, ticket }
  resolution      jsonb,
  worker_version  text,
  worker_host     text,
  correlation_id  text not null,
  causation_id    text,
  traceparent     text,
  assignee        text,
  ticket          text,
  snoozed_until   timestamptz,
  -- Snoozed until its group holds more deaths than this. Means nothing in another state.
  snoozed_deaths  bigint,
  notes_count     int not null default 0,
  -- What could not be kept, and why; null when the evidence is whole.
  evidence_lacks  text,
  synthetic       boolean not null default false,
  check ((state in ('resolved', 'discarded')) = (resolved_at is not null)),
  check (snoozed_until is null or state = 'snoozed')
) with (fillfactor = 60, toast_tuple_target = 512);

create unique index dead_letter_root on ops.dead_letter_queue (source, queue_name, root_key);
create index idx_dlq_queue_failed_at on ops.dead_letter_queue (queue_name, failed_at desc, id desc);
create index idx_dlq_resolved_failed_at on ops.dead_letter_queue (resolved, failed_at desc, id desc);
create index dead_letter_failed_at on ops.dead_letter_queue (failed_at desc, id desc);
create index dead_letter_open on ops.dead_letter_queue (queue_name, failed_at desc, id desc) where not resolved;
create index dead_letter_fingerprint on ops.dead_letter_queue (fingerprint, resolved, failed_at desc, id desc);
create index dead_letter_correlation on ops.dead_letter_queue (correlation_id);
create index dead_letter_closed on ops.dead_letter_queue (resolved_at) where resolved_at is not null;
create index dead_letter_snoozed on ops.dead_letter_queue (snoozed_until) where snoozed_until is not null;
create index dead_letter_snoozed_deaths on ops.dead_letter_queue (fingerprint) where snoozed_deaths is not null;
create index dead_letter_probe on ops.dead_letter_queue (queue_name, failed_at desc) where synthetic;

-- The exact content, version 0 as captured; edits add versions, and never overwrite one. No foreign key: its check would be a
-- quarter of the cost of a capture. Retention removes both.
create table ops.dead_letter_payload (
  letter_id  uuid not null,
  version    int not null,
  -- json: `body` is the text as it was · escaped: what Postgres refuses in a text is written as \uXXXX · bytes: `bytes` holds it
  encoding   text not null default 'json' check (encoding in ('json', 'escaped', 'bytes')),
  body       text,
  bytes      bytea,
  sha256     text not null,
  author     text,
  reason     text,
  -- Paths that an edit changed; never the values.
  changed    text[],
  created_at timestamptz not null default clock_timestamp(),
  primary key (letter_id, version),
  check ((encoding = 'bytes') = (body is null)),
  check ((encoding = 'bytes') = (bytes is not null))
);

-- What a fingerprint stands for, and what people decided of it.
create table ops.dead_letter_group (
  fingerprint     text primary key,
  title           text not null,
  error_type      text not null,
  message         text not null,
  frame           text,
  classifier      int not null default 1,
  sample_id       uuid,
  first_seen      timestamptz not null,
  last_seen       timestamptz not null,
  first_version   text,
  last_version    text,
  fixed_in        text,
  fixed_by        text,
  fixed_at        timestamptz,
  regressed_at    timestamptz,
  assignee        text,
  ticket          text,
  snoozed_until   timestamptz,
  -- Snoozed until the group holds more deaths than this.
  snoozed_deaths  bigint,
  last_canary     jsonb,
  notes_count     int not null default 0,
  version         int not null default 1
);
create index dead_letter_group_last_seen on ops.dead_letter_group (last_seen desc, fingerprint);

create table ops.dead_letter_note (
  id          uuid primary key default gen_random_uuid(),
  letter_id   uuid,
  fingerprint text,
  author      text not null,
  author_name text not null,
  text        text not null check (length(text) between 1 and 5000),
  created_at  timestamptz not null default clock_timestamp(),
  check ((letter_id is null) <> (fingerprint is null))
);
create index dead_letter_note_letter on ops.dead_letter_note (letter_id, created_at) where letter_id is not null;
create index dead_letter_note_group on ops.dead_letter_note (fingerprint, created_at) where fingerprint is not null;

-- Counting. Every change of a letter adds a row of differences in its own transaction, so nobody waits for a counter; a loop folds
-- them into the two tables below. A reader adds the rows not yet folded: the sums are exact at any moment.
create table ops.dead_letter_change (
  id             bigint generated always as identity primary key,
  at             timestamptz not null default clock_timestamp(),
  source         text not null,
  queue_name     text not null,
  fingerprint    text not null,
  cause          text not null,
  worker_version text not null,
  captured       int not null,
  -- Deaths, those of retries too.
  deaths         int not null,
  open           int not null,
  resolved       int not null,
  discarded      int not null,
  retried_ok     int not null,
  -- Whole seconds between capture and closing, over what this change closed.
  closed_s       bigint not null default 0,
  last_failed_at timestamptz
);

create table ops.dead_letter_hour (
  hour           timestamptz not null,
  source         text not null,
  queue_name     text not null,
  fingerprint    text not null,
  cause          text not null,
  worker_version text not null,
  captured       bigint not null default 0,
  deaths         bigint not null default 0,
  resolved       bigint not null default 0,
  discarded      bigint not null default 0,
  retried_ok     bigint not null default 0,
  closed_s       bigint not null default 0,
  primary key (hour, source, queue_name, fingerprint, cause, worker_version)
);
create index dead_letter_hour_fingerprint on ops.dead_letter_hour (fingerprint, hour);

-- Sums since the first capture; retention of letters leaves them as they are.
create table ops.dead_letter_stock (
  source      text not null,
  queue_name  text not null,
  fingerprint text not null,
  captured    bigint not null default 0,
  deaths      bigint not null default 0,
  open        bigint not null default 0,
  resolved    bigint not null default 0,
  discarded   bigint not null default 0,
  primary key (source, queue_name, fingerprint)
);
create index dead_letter_stock_fingerprint on ops.dead_letter_stock (fingerprint);

-- Pieces of work whose first run died, counted where the verdict falls and not where it is captured: the other side of the proof.
create table ops.job_death (
  id     bigint generated always as identity primary key,
  queue  text not null,
  deaths bigint not null,
  -- Captures that could not keep the whole evidence.
  capture_errors bigint not null default 0
);

-- The newest probe of each queue: a job that dies on purpose, to show that deaths are captured. Its letter is its result.
create table ops.capture_probe (
  queue    text primary key,
  run_key  text not null,
  asked_at timestamptz not null default clock_timestamp()
);

create function ops.count_dead_letters() returns trigger language plpgsql as $$
begin
  insert into ops.dead_letter_change (source, queue_name, fingerprint, cause, worker_version,
                                      captured, deaths, open, resolved, discarded, retried_ok, closed_s, last_failed_at)
  select source, queue_name, fingerprint, cause, coalesce(worker_version, ''), count(*), count(*),
         count(*) filter (where not resolved), count(*) filter (where state = 'resolved'),
         count(*) filter (where state = 'discarded'), 0,
         coalesce(sum(extract(epoch from resolved_at - created_at)) filter (where resolved), 0)::bigint, max(failed_at)
  from added where not synthetic
  group by 1, 2, 3, 4, 5;
  return null;
end $$;

-- Row by row, and only where a sum changes: to claim a letter and to put it back change none, and both tables of a statement's rows,
-- joined for each, were a third of the cost of a claim.
create function ops.recount_dead_letter() returns trigger language plpgsql as $$
begin
  insert into ops.dead_letter_change (source, queue_name, fingerprint, cause, worker_version,
                                      captured, deaths, open, resolved, discarded, retried_ok, closed_s, last_failed_at)
  select new.source, queue_name, fingerprint, cause, coalesce(worker_version, ''), sum(captured), sum(deaths), sum(open), sum(resolved),
         sum(discarded), sum(retried_ok), sum(closed_s), max(failed_at)
  from (values
    (new.queue_name, new.fingerprint, new.cause, new.worker_version, 1, (new.failed_at > old.failed_at)::int, (not new.resolved)::int,
     (new.state = 'resolved')::int, (new.state = 'discarded')::int, (new.state = 'resolved' and old.state = 'retrying')::int,
     case when new.resolved and not old.resolved then extract(epoch from new.resolved_at - new.created_at)::bigint else 0 end,
     case when new.failed_at > old.failed_at then new.failed_at end),
    (old.queue_name, old.fingerprint, old.cause, old.worker_version, -1, 0, -(not old.resolved)::int, -(old.state = 'resolved')::int,
     -(old.state = 'discarded')::int, 0, 0, null))
    as d(queue_name, fingerprint, cause, worker_version, captured, deaths, open, resolved, discarded, retried_ok, closed_s, failed_at)
  group by 2, 3, 4, 5;
  return null;
end $$;

create trigger dead_letter_counted after insert on ops.dead_letter_queue
  referencing new table as added for each statement execute function ops.count_dead_letters();
create trigger dead_letter_recounted after update on ops.dead_letter_queue
  for each row when (not new.synthetic
    and (new.resolved, new.state = 'discarded', new.failed_at, new.fingerprint, new.cause)
      is distinct from (old.resolved, old.state = 'discarded', old.failed_at, old.fingerprint, old.cause))
  execute function ops.recount_dead_letter();

-- A redrive: many retries (or closings) as one object that is planned, watched and stopped.
create table ops.redrive (
  id              uuid primary key default gen_random_uuid(),
  name            text not null,
  action          text not null check (action in ('retry', 'resolve', 'discard', 'restore')),
  state           text not null check (state in ('planning', 'planned', 'expired', 'waiting', 'canary', 'running', 'done',
                                                 'paused', 'stopped', 'aborting', 'aborted')),
  -- Canonical; null when the letters were named by their ids.
  filter          text,
  options         jsonb not null,
  plan            jsonb not null default '{}',
  plan_hash       text,
  matched         int,
  included        int,
  frozen_at       timestamptz,
  expires_at      timestamptz,
  destinations    text[] not null default '{}',
  created_by      text not null,
  created_by_name text not null,
  created_at      timestamptz not null default clock_timestamp(),
  reason          text,
  approved_by     text,
  approved_by_name text,
  approved_at     timestamptz,
  started_by      text,
  started_by_name text,
  started_via     text,
  started_at      timestamptz,
  undo_until      timestamptz,
  -- What it returns to after a pause, and begins as after its wait.
  resumes_as      text check (resumes_as in ('waiting', 'canary', 'running')),
  stopped_because jsonb,
  canary          jsonb,
  -- Fingerprints of the plan, and those a person accepted since; and those met that are not among them.
  fingerprints    text[] not null default '{}',
  new_fingerprints text[] not null default '{}',
  -- Older verdicts do not stop it again.
  judged_from     timestamptz,
  -- When the next item may go out: with the rate, all that is needed to go on without a burst.
  due             timestamptz,
  recall          boolean not null default false,
  progress        jsonb not null default '{}',
  rate            jsonb not null default '{}',
  ended_at        timestamptz,
  acknowledged_by text,
  acknowledged_by_name text,
  acknowledged_at timestamptz,
  version         int not null default 1,
  correlation_id  text not null
);
create index redrive_open on ops.redrive (created_at desc, id desc);
create index redrive_live on ops.redrive (state) where state in ('planning', 'waiting', 'canary', 'running', 'paused', 'stopped', 'aborting');

-- The frozen set of one redrive. `generation` is that of the retry it made.
create table ops.redrive_item (
  redrive_id      uuid not null references ops.redrive on delete cascade,
  ord             bigint not null,
  letter_id       uuid not null,
  letter_version  int not null,
  is_canary       boolean not null default false,
  outcome         text not null default 'planned'
                    check (outcome in ('planned', 'enqueued', 'succeeded', 'failed', 'skipped', 'cancelled')),
  why             text,
  generation      int,
  enqueued_at     timestamptz,
  decided_at      timestamptz,
  new_fingerprint text,
  primary key (redrive_id, ord)
) with (fillfactor = 70);
create index redrive_item_letter on ops.redrive_item (letter_id);
create index redrive_item_outcome on ops.redrive_item (redrive_id, outcome, ord);
create index redrive_item_verdict on ops.redrive_item (redrive_id, decided_at) where outcome in ('succeeded', 'failed');
create index redrive_item_new_fingerprint on ops.redrive_item (redrive_id, new_fingerprint) where new_fingerprint is not null;

create table ops.saved_view (
  id         uuid primary key default gen_random_uuid(),
  name       text not null check (length(name) between 1 and 100),
  q          text not null,
  scope      text not null check (scope in ('mine', 'all')),
  owner      text not null,
  owner_name text not null,
  created_at timestamptz not null default clock_timestamp()
);
create unique index saved_view_name on ops.saved_view (owner, name);

-- What operators wish of a queue; applied again when Redis forgets.
create table ops.queue (
  name           text primary key,
  paused_at      timestamptz,
  paused_by      text,
  paused_by_name text,
  pause_reason   text,
  paused_until   timestamptz,
  version        int not null default 1
);

-- Attempts by minute and process, for what an operator sees of the last hour. A process that is killed takes its last seconds with it.
create table ops.attempt_minute (
  minute    timestamptz not null,
  queue     text not null,
  worker    uuid not null,
  completed int not null default 0,
  failed    int not null default 0,
  primary key (minute, queue, worker)
);

-- Makes cursors that nobody else can write.
create table ops.signing_key (
  name  text primary key,
  value text not null
);
insert into ops.signing_key values
  ('cursor', encode(sha256((gen_random_uuid()::text || gen_random_uuid()::text)::bytea), 'hex'));

-- The success of a retry closes its letter and its item of a redrive in the commit of its effect, whoever writes the verdict.
create function ops.close_letter() returns trigger language plpgsql as $$
begin
  update ops.dead_letter_queue
  set state = 'resolved', version = version + 1, resolved_at = clock_timestamp(),
      resolution = jsonb_build_object('how', 'retried', 'run_key', new.run_key)
  where id = new.dlq_id and generation = new.generation and state = 'retrying';
  update ops.redrive_item set outcome = 'succeeded', decided_at = clock_timestamp()
  where letter_id = new.dlq_id and generation = new.generation and outcome = 'enqueued';
  return null;
end $$;

create trigger job_run_closes_letter after update of state on ops.job_run
  for each row when (new.state = 'done' and new.dlq_id is not null) execute function ops.close_letter();

-- The keys of a letter's retries are its id and their numbers: nothing reads this index, and every retry paid for it.
drop index ops.job_run_root;

-- Runs that died before there were letters: captured once, here. Their payloads become version 0.
insert into ops.dead_letter_queue (queue_name, kind, job_id, root_key, run_key, cause, payload, payload_bytes, error_type, error_message,
                                   error_code, stack_trace, fingerprint, attempts, failed_at, first_failed_at, worker_version, worker_host,
                                   correlation_id, causation_id, traceparent, evidence_lacks)
select left(r.queue, 100), r.kind, left(r.run_key, 100), r.root_key, r.run_key, r.cause,
       case when pg_input_is_valid(p.body, 'jsonb') then p.body::jsonb end, coalesce(octet_length(p.body), 0),
       coalesce(r.last_error ->> 'type', r.cause), coalesce(r.last_error ->> 'message', ''), r.last_error ->> 'code',
       coalesce(r.last_error ->> 'stack', r.attempts_history -> -1 -> 'error' ->> 'stack'),
       'v0_' || left(encode(sha256(convert_to(coalesce(r.last_error ->> 'type', r.cause) || ' ' || r.queue, 'UTF8')), 'hex'), 16),
       r.failures, r.died_at, r.died_at, w.version, w.host, r.correlation_id, r.causation_id, r.traceparent,
       case when p.body is null then 'payload: it was not kept' end
from ops.job_run r
left join ops.job_payload p using (run_key)
left join ops.worker w on w.id = r.worker
where r.died_at is not null;

insert into ops.dead_letter_payload (letter_id, version, body, sha256)
select d.id, 0, p.body, p.sha256 from ops.dead_letter_queue d join ops.job_payload p on p.run_key = d.run_key;

insert into ops.dead_letter_group (fingerprint, title, error_type, message, classifier, sample_id, first_seen, last_seen)
select fingerprint, min(error_type) || ' on ' || min(queue_name), min(error_type), left(min(error_message), 200), 0,
       min(id::text)::uuid, min(failed_at), max(failed_at)
from ops.dead_letter_queue group by fingerprint;

insert into ops.job_death (queue, deaths)
select queue, count(*) from ops.job_run where died_at is not null and generation = 0 group by queue;

-- migrate:down

drop trigger job_run_closes_letter on ops.job_run;
drop function ops.close_letter();
create index job_run_root on ops.job_run (root_key, generation) where generation > 0;
drop table ops.signing_key;
drop table ops.attempt_minute;
drop table ops.queue;
drop table ops.saved_view;
drop table ops.redrive_item;
drop table ops.redrive;
drop table ops.capture_probe;
drop table ops.job_death;
drop table ops.dead_letter_stock;
drop table ops.dead_letter_hour;
drop table ops.dead_letter_change;
drop table ops.dead_letter_note;
drop table ops.dead_letter_group;
-- What was captured goes back to where dead runs kept it.
insert into ops.job_payload (run_key, body, sha256)
select d.run_key, p.body, p.sha256
from ops.dead_letter_queue d join ops.dead_letter_payload p on p.letter_id = d.id and p.version = 0
where d.run_key is not null and p.body is not null and exists (select from ops.job_run r where r.run_key = d.run_key)
on conflict do nothing;
drop table ops.dead_letter_payload;
drop table ops.dead_letter_queue;
drop function ops.count_dead_letters();
drop function ops.recount_dead_letter();
