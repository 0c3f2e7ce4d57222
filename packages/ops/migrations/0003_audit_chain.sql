-- migrate:up

-- Rows of the audit log that are committed and not linked yet. A transaction adds its own, without waiting for others; linking takes them away.
create table ops.audit_pending (
  seq bigint primary key
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The rows of the audit log in one dense order. `hash` covers the row and, through the hash before it, every earlier one;
-- `seal` is its HMAC under the key of the host that `key_id` names, null where the host has none.
create table ops.audit_chain (
  n      bigint primary key check (n > 0),
  seq    bigint not null unique,
  hash   bytea not null check (octet_length(hash) = 32),
  seal   bytea check (octet_length(seal) = 32),
  key_id text,
  check ((seal is null) = (key_id is null))
);

create trigger audit_chain_append_only before update or delete on ops.audit_chain
  for each statement execute function ops.refuse_change();
create trigger audit_chain_never_truncated before truncate on ops.audit_chain
  for each statement execute function ops.refuse_change();

-- Runs with the rights of its owner: who may append to the log need not be allowed to touch what is pending.
create function ops.audit_await_link() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
begin
  insert into ops.audit_pending (seq) select seq from appended;
  return null;
end $$;
create trigger audit_log_awaits_link after insert on ops.audit_log
  referencing new table as appended for each statement execute function ops.audit_await_link();

insert into ops.audit_pending (seq) select seq from ops.audit_log;

-- For the lists by actor and by action.
create index audit_log_actor on ops.audit_log (actor, seq);
create index audit_log_action on ops.audit_log (action, seq);

-- migrate:down

drop index ops.audit_log_action;
drop index ops.audit_log_actor;
drop trigger audit_log_awaits_link on ops.audit_log;
drop function ops.audit_await_link();
drop table ops.audit_chain;
drop table ops.audit_pending;
