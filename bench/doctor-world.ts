/** A market with a past, written past the product: leads sold, charged and mailed over a month, and jobs that died. Every invariant holds. */
import { type Database, raw } from '../packages/ops/src/postgres/index.ts';

export interface Past {
  readonly leads: number;
  readonly letters: number;
}

const niche = `'00000000-0000-4000-8000-000000000001'`;
const level = `'00000000-0000-4000-8000-000000000002'`;
const providers = 2_000;
const credit = 1_000_000_000;

/** Triggers and foreign keys are off: what they would do is done here. */
export async function writePast(db: Database, { leads, letters }: Past): Promise<void> {
  for (const statement of [...market(), ...sales(leads), ...money(leads), ...work(leads), ...deaths(letters)])
    await db.transaction(async (tx) => {
      await tx.query(raw(`set local session_replication_role = replica`));
      await tx.query(raw(statement));
    });
  await db.query(raw('vacuum analyze'));
}

const uuid = (kind: string, n: string) => `md5('${kind}' || ${n})::uuid`;
const provider = uuid('provider', `(g % ${providers})`);
const each = (count: number) => `generate_series(1, ${count}) g`;

/** Evenly over so many days, up to now. */
const past = (count: number, days: number) => `(now() - (${count} - g) * interval '${days} days' / ${count})`;

function market(): string[] {
  const all = `generate_series(0, ${providers - 1}) g`;
  return [
    `insert into niche (id, slug, name) values (${niche}, 'bench', 'Bench')`,
    `insert into level (id, niche_id, name, ord, price_cents, max_recipients) values (${level}, ${niche}, 'one', 1, 500, 1)`,
    `insert into provider (id, user_id, company, status) select ${provider}, gen_random_uuid(), 'Bench', 'active' from ${all}`,
    `insert into subscription (id, provider_id, level_id, status)
     select ${uuid('subscription', 'g')}, ${provider}, ${level}, 'active' from ${all}`,
  ];
}

function sales(leads: number): string[] {
  const at = past(leads, 30);
  const nth = `row_number() over (partition by g % ${providers}, (${at})::date order by g)`;
  return [
    `insert into lead (id, niche_id, status, correlation_id, confirm_expires_at, confirmed_at, approved_at, sale_no, assigned_count,
                       recipient_cap, distributed_at, created_at, updated_at)
     select ${uuid('lead', 'g')}, ${niche}, 'distributed', 'bench', ${at}, ${at}, ${at}, 1, 1, 1, ${at}, ${at}, ${at} from ${each(leads)}`,
    `insert into assignment (id, lead_id, provider_id, subscription_id, level_id, price_cents, slot, slot_cap, cap_day, cap_n, assigned_at)
     select ${uuid('assignment', 'g')}, ${uuid('lead', 'g')}, ${provider}, ${uuid('subscription', `(g % ${providers})`)}, ${level}, 500, 1, 1,
            (${at})::date, ${nth}, ${at} + interval '1 second'
     from ${each(leads)} order by g`,
    `insert into email (id, dedupe_key, template, template_version, to_address, status, sent_at, created_at)
     select ${uuid('email', 'g')}, 'new_lead:' || ${uuid('assignment', 'g')}, 'new_lead', 1, 'bench@example.com', 'sent', ${at}, ${at}
     from ${each(leads)}`,
  ];
}

function money(leads: number): string[] {
  return [
    `insert into ledger_entry (provider_id, account_version, kind, amount_cents, balance_after_cents, actor, memo, correlation_id, created_at)
     select id, 1, 'manual_credit', ${credit}, ${credit}, 'bench', 'bench', 'bench', now() - interval '31 days' from provider`,
    `insert into ledger_entry (provider_id, account_version, kind, amount_cents, balance_after_cents, assignment_id, actor, correlation_id,
                               created_at)
     select ${provider}, 1 + row_number() over w, 'lead_charge', -500, ${credit} - 500 * row_number() over w, ${uuid('assignment', 'g')},
            'bench', 'bench', ${past(leads, 30)} + interval '1 second'
     from ${each(leads)} window w as (partition by g % ${providers} order by g) order by g`,
    `insert into account (provider_id, balance_cents, version, updated_at)
     select provider_id, sum(amount_cents), max(account_version), max(created_at) from ledger_entry group by provider_id`,
  ];
}

function work(leads: number): string[] {
  const at = past(leads, 29);
  return [
    `insert into ops.job_run (run_key, root_key, queue, kind, state, started, finished, max_attempts, enqueued_at, finished_at, correlation_id)
     select kind || '-' || g, kind || '-' || g, kind, kind, 'done', 1, 1, 5, ${at}, ${at}, 'bench'
     from ${each(leads)}, (values ('distribute_lead'), ('email_send')) k(kind) order by g`,
    `insert into ops.audit_log (at, actor, actor_name, via, action, target_type, target_id, correlation_id)
     select ${at}, 'bench', 'bench', 'http', 'lead.approved', 'lead', ${uuid('lead', 'g')}::text, 'bench' from ${each(leads)}`,
  ];
}

function deaths(letters: number): string[] {
  const at = past(letters, 25);
  const key = `'died-' || g`;
  const body = `repeat('x', 900) || g`;
  return [
    `insert into ops.job_run (run_key, root_key, queue, kind, state, started, finished, max_attempts, enqueued_at, finished_at, died_at,
                              cause, correlation_id)
     select ${key}, ${key}, 'email_send', 'send_email', 'dead', 1, 1, 5, ${at}, ${at}, ${at}, 'exhausted', 'bench' from ${each(letters)}`,
    `insert into ops.dead_letter_queue (id, queue_name, kind, root_key, run_key, cause, payload_bytes, error_type, error_message, stack_trace,
                                        fingerprint, attempts, failed_at, first_failed_at, created_at, correlation_id)
     select ${uuid('letter', 'g')}, 'email_send', 'send_email', ${key}, ${key}, 'exhausted', 900, 'Error', 'no', repeat('stack ', 150),
            'group' || g % 50, 5, ${at}, ${at}, ${at} + interval '1 ms', 'bench'
     from ${each(letters)}`,
    `insert into ops.dead_letter_payload (letter_id, version, body, sha256, created_at)
     select ${uuid('letter', 'g')}, 0, ${body}, encode(sha256(convert_to(${body}, 'UTF8')), 'hex'), ${at} from ${each(letters)}`,
  ];
}
