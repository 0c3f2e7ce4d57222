/**
 * The retention of dead letters at a million rows: all that is due goes, nothing that is open goes, and nobody waits long for a lock.
 *
 * While it runs, a writer closes and restores letters that are not due, one after the other, and notes its longest wait.
 */
import { below, type Figure, type RunOptions } from '../bench/report.ts';
import { startServers } from '../bench/servers.ts';
import { closeLetters, foldChanges, readStock, retainLetters } from '../packages/ops/src/dead-letters/index.ts';
import { opsMigrations } from '../packages/ops/src/ops.ts';
import { type Database, openDatabase, openMigrator, sql } from '../packages/ops/src/postgres/index.ts';
import { exactly } from './harness/figures.ts';

export const about = 'the retention of dead letters at a million rows, beside a writer';

const actor = { id: 'proof', name: 'proof', via: 'system' } as const;

export async function run({ quick, say }: RunOptions): Promise<Figure[]> {
  const servers = await startServers();
  const db = openDatabase({ url: servers.databaseUrl, poolSize: 4, statementTimeoutMs: 300_000 });
  try {
    await openMigrator({ url: servers.databaseUrl, sets: [opsMigrations] }).up();
    const letters = quick ? 20_000 : 1_000_000;
    await fill(db, letters);
    say(`${letters} letters: half of them closed 31 days ago, a quarter closed today, a quarter open`);
    const writer = startWriter(db);
    const startedAt = performance.now();
    const counts = await retainLetters(db, new AbortController().signal);
    const seconds = (performance.now() - startedAt) / 1_000;
    const { longestMs, acts } = await writer.stop();
    const { deleted: removed = 0 } = counts;
    say(`${removed} removed in ${seconds.toFixed(1)} s; ${acts} letters were closed or restored meanwhile`);
    return [
      exactly(letters / 2, { what: 'letters removed', value: removed, unit: 'letters' }),
      exactly(letters / 2, { what: 'letters left', value: await count(db, 'dead_letter_queue'), unit: 'letters' }),
      exactly(letters / 2, { what: 'payloads left', value: await count(db, 'dead_letter_payload'), unit: 'payloads' }),
      exactly(letters, { what: 'letters in the sums, as before', value: await captured(db), unit: 'letters' }),
      { what: 'letters removed a second', value: removed / seconds, unit: 'letters/s', target: '', ok: true },
      below(1_000, { what: 'longest wait of a writer', value: longestMs, unit: 'ms' }),
    ];
  } finally {
    await db.close();
    await servers.stop();
  }
}

/** Letters as they look after months, made by set: three quarters closed, half of all long ago. */
async function fill(db: Database, letters: number): Promise<void> {
  for (let from = 0; from < letters; from += 100_000) {
    await db.query(sql`
      with letter as (
        insert into ops.dead_letter_queue (queue_name, kind, job_id, root_key, run_key, cause, payload, payload_bytes, error_type,
          error_message, stack_trace, fingerprint, attempts, failed_at, first_failed_at, created_at, correlation_id, state, resolved_at,
          resolution)
        select 'q' || n % 5, 'task', 'job-' || n, 'job-' || n, 'job-' || n, 'exhausted', jsonb_build_object('n', n), 300, 'Error',
               'no ' || n, repeat('at somewhere ', 75), 'v1_' || n % 200, 3, now() - interval '40 days', now() - interval '40 days',
               now() - interval '40 days', 'journey-' || n,
               case when n % 4 = 3 then 'pending' when n % 4 = 2 then 'discarded' else 'resolved' end,
               case when n % 4 = 3 then null when n % 4 = 2 then now() else now() - interval '31 days' end, '{"how":"manual"}'
        from generate_series(${from + 1}::int, ${Math.min(from + 100_000, letters)}::int) n
        returning id, payload::text as body)
      insert into ops.dead_letter_payload (letter_id, version, body, sha256) select id, 0, body, repeat('0', 64) from letter`);
  }
  while ((await foldChanges(db)).more);
  await db.query(sql`analyze ops.dead_letter_queue, ops.dead_letter_payload`);
}

interface Writer {
  stop(): Promise<{ longestMs: number; acts: number }>;
}

/** Closes an open letter and opens it again, for as long as it runs. */
function startWriter(db: Database): Writer {
  const state = { longestMs: 0, acts: 0, stopping: false };
  const running = (async () => {
    const { rows } = await db.query<{ id: string }>(
      sql`select id from ops.dead_letter_queue where not resolved order by failed_at desc, id desc limit 1000`,
    );
    for (let at = 0; !state.stopping; at += 1) {
      const letterId = rows[at % rows.length]?.id ?? '';
      for (const action of ['resolve', 'restore'] as const) {
        const startedAt = performance.now();
        await db.transaction((tx) =>
          closeLetters(tx, [{ letterId }], { action, actor, reason: 'to see how long it waits' }),
        );
        state.longestMs = Math.max(state.longestMs, performance.now() - startedAt);
        state.acts += 1;
      }
    }
  })();
  return {
    async stop() {
      state.stopping = true;
      await running;
      return state;
    },
  };
}

async function count(db: Database, table: 'dead_letter_queue' | 'dead_letter_payload'): Promise<number> {
  const from = table === 'dead_letter_queue' ? sql`ops.dead_letter_queue` : sql`ops.dead_letter_payload`;
  return (await db.query<{ n: number }>(sql`select count(*)::int as n from ${from}`)).rows[0]?.n ?? -1;
}

async function captured(db: Database): Promise<number> {
  return (await readStock(db)).reduce((sum, { captured: letters }) => sum + letters, 0);
}
