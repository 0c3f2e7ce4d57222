-- migrate:up

-- Lists of all letters are merged from the open and the closed ones, each of which has an index: this one was a ninth of what a letter costs
-- Postgres to index, and read by nothing else.
drop index ops.dead_letter_failed_at;

-- migrate:down

create index dead_letter_failed_at on ops.dead_letter_queue (failed_at desc, id desc);
