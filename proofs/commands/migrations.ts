import { join } from 'node:path';
import { startPostgres } from '../../apps/marketplace/src/embedded/postgres.ts';
import type { Figure } from '../../bench/report.ts';
import { type Database, openDatabase, raw, sql } from '../../packages/ops/src/postgres/index.ts';
import { openApiClient } from '../harness/api-client.ts';
import { exactly, none, reported } from '../harness/figures.ts';
import { fmhl, freePort, launch, runToEnd } from '../harness/product.ts';
import { careForAll, paymentSecret } from './people.ts';

/** Migrations by several starters at once, and back to nothing and up again with rows in every table. */
export async function migrations({
  directory,
  say,
}: {
  directory: string;
  say: (line: string) => void;
}): Promise<Figure[]> {
  const postgres = await startPostgres({ dataDir: join(directory, 'migrations-postgres'), port: await freePort() });
  const db = openDatabase({ url: postgres.url, poolSize: 2 });
  const settings = { DATABASE_URL: postgres.url, DATA_DIR: join(directory, 'migrations') };
  const migrate = (...args: string[]) => runToEnd([...fmhl, 'migrate', ...args], settings);
  const wrong: string[] = [];
  try {
    const starters = await Promise.all([migrate(), migrate(), migrate('up')]);
    for (const { code, err } of starters) if (code !== 0) wrong.push(`a starter ended with ${code}: ${err}`);
    const applied = starters.flatMap(({ out }) => out.match(/^applied .*$/gm) ?? []);
    const [before, empty] = [await shapeOf(db), await fill(db, settings)];
    const down = await migrate('down');
    const left = await shapeOf(db);
    const again = await migrate('up');
    for (const { code, err } of [down, again]) if (code !== 0) wrong.push(`ended with ${code}: ${err}`);
    const after = await shapeOf(db);
    if (after.join() !== before.join()) wrong.push('the second way up leads elsewhere than the first');
    const waiting = (await migrate('status')).out.match(/^waits/gm) ?? [];
    return [
      reported('migrations', applied.length, 'files'),
      exactly(applied.length, {
        what: 'each applied once, of three starters',
        value: new Set(applied).size,
        unit: 'files',
      }),
      none('tables without rows before the way down', empty, say),
      none('left by the way down', left, say),
      exactly(0, { what: 'waiting after the second way up', value: waiting.length, unit: 'files' }),
      none('migrations not as promised', wrong, say),
    ];
  } finally {
    await db.close();
    await postgres.stop();
  }
}

/** Every table, column, index, function and trigger of the database, in order, as one line each. */
async function shapeOf(db: Database): Promise<string[]> {
  const { rows } = await db.query<{ line: string }>(sql`
    with own as (select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema')
    select n.nspname || '.' || c.relname || ' ' || c.relkind::text || ' ' || coalesce(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), '') as line
    from pg_class c join own n on n.oid = c.relnamespace left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    union all select n.nspname || '.' || p.proname || '()' from pg_proc p join own n on n.oid = p.pronamespace
    union all select 'trigger ' || tgname from pg_trigger where not tgisinternal
    union all select 'schema ' || nspname from own where nspname <> 'public'
    order by 1`);
  return rows.map(({ line }) => line);
}

/** Runs the product once on the database, then adds what a quiet day does not bring. Answers the tables still empty. */
async function fill(db: Database, settings: Record<string, string>): Promise<string[]> {
  const port = String(await freePort());
  const also = { PORT: port, METRICS_PORT: '0', DEPOSIT_MODE: 'gateway', PAYMENT_WEBHOOK_SECRET: paymentSecret };
  const product = launch([...fmhl, 'up'], { ...settings, ...also });
  await product.says('fmhl is ready at');
  const passwordOf = (who: string) => new RegExp(`${who} +(\\S+) +password (\\S+)`).exec(product.err)?.slice(1) ?? [];
  await careForAll(db, {
    stranger: openApiClient(`http://127.0.0.1:${port}`),
    admin: passwordOf('Admin'),
    provider: passwordOf('Provider'),
  });
  await product.stop('SIGTERM');
  await db.query(sql`insert into email_suppression (address, reason) values ('gone@example.com', 'proof')`);
  await db.query(
    sql`insert into ops.job_payload (run_key, body, sha256) select run_key, '{}', repeat('0', 64) from ops.job_run limit 1`,
  );
  await db.query(
    sql`insert into ops.job_outbox (run_key, queue, envelope) select run_key, queue, '{}' from ops.job_run on conflict do nothing`,
  );
  await fillAccounts(db);
  await fillDeadLetters(db);
  return emptyTables(db);
}

/** What people have of their own beside a password: a mailed link, a token for a machine, a passkey. */
async function fillAccounts(db: Database): Promise<void> {
  await db.query(sql`
    insert into identity.user_token (user_id, purpose, expires_at) select id, 'reset_password', now() from identity.users limit 1`);
  await db.query(sql`
    insert into identity.api_token (user_id, name, token_sha256, scopes, expires_at)
    select id, 'proof', sha256('proof'), '{portal.use}', now() from identity.users limit 1`);
  await db.query(sql`
    insert into identity.passkey (user_id, credential_id, public_key, sign_count, name)
    select id, 'credential-of-the-proof', 'key', 0, 'proof' from identity.users limit 1`);
  await db.query(sql`
    insert into identity.passkey_challenge (challenge, purpose, expires_at) values ('proof', 'sign_in', now())`);
}

/** A letter with all that can hang on one, and what people decided. */
async function fillDeadLetters(db: Database): Promise<void> {
  await db.query(sql`
    insert into ops.dead_letter_queue (queue_name, kind, root_key, cause, error_type, error_message, fingerprint, attempts, failed_at,
                                       first_failed_at, correlation_id)
    values ('email_send', 'send_email', 'proof-1', 'permanent', 'Error', 'no', 'v1_proof', 1, now(), now(), 'proof-0001')`);
  await db.query(sql`
    insert into ops.dead_letter_group (fingerprint, title, error_type, message, first_seen, last_seen)
    values ('v1_proof', 'Error: no', 'Error', 'no', now(), now())`);
  await db.query(sql`
    insert into ops.dead_letter_hour (hour, source, queue_name, fingerprint, cause, worker_version)
    values (now(), 'queue', 'email_send', 'v1_proof', 'permanent', '')`);
  await db.query(
    sql`insert into ops.dead_letter_stock (source, queue_name, fingerprint) values ('queue', 'email_send', 'v1_proof')`,
  );
  await db.query(
    sql`insert into ops.dead_letter_note (fingerprint, author, author_name, text) values ('v1_proof', 'proof', 'proof', 'seen')`,
  );
  await db.query(sql`insert into ops.job_death (queue, deaths) values ('email_send', 1)`);
  await db.query(
    sql`insert into ops.queue (name, paused_at, paused_by) values ('email_send', now(), 'proof') on conflict do nothing`,
  );
  await db.query(sql`
    with redrive as (
      insert into ops.redrive (name, action, state, options, created_by, created_by_name, correlation_id)
      values ('proof', 'retry', 'planned', '{}', 'proof', 'proof', 'proof-0001') returning id)
    insert into ops.redrive_item (redrive_id, ord, letter_id, letter_version) select id, 1, gen_random_uuid(), 1 from redrive`);
  await db.query(
    sql`insert into ops.saved_view (name, q, scope, owner, owner_name) values ('proof', 'state:open', 'all', 'proof', 'proof')`,
  );
}

async function emptyTables(db: Database): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(sql`
    select format('%I.%I', table_schema, table_name) as name from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema in ('public', 'identity', 'ops') order by 1`);
  const empty: string[] = [];
  for (const { name } of rows) {
    const { rowCount } = await db.query(sql`select from ${raw(name)} limit 1`);
    if (rowCount === 0) empty.push(name);
  }
  return empty;
}
