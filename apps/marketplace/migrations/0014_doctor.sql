-- migrate:up

-- For the doctor, which looks at the entries since its last look. Entries come in the order of their time, so a few pages hold it.
create index ledger_entry_created on ledger_entry using brin (created_at) with (pages_per_range = 32);
-- For the doctor, which looks whether an erased lead tells nothing. Few are.
create index lead_erased on lead (erased_at) where erased_at is not null;

-- migrate:down

drop index lead_erased;
drop index ledger_entry_created;
