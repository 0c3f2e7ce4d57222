/**
 * What an act pays for its audit row, and what linking and verifying the chain cost.
 *
 * Sixteen writers audit in the middle of transactions that stay open for 10 to 30 ms, longer than a sale does, one after another and ten a second each,
 * while a process links them. The same is done with the way not taken: a lock on the chain at the end of each transaction. See docs/decisions on the audit chain.
 */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type AuditEntry, audit, systemActor } from '../packages/ops/src/audit/append.ts';
import { beforeFirst, linkHash, type LoggedRow, sealOf } from '../packages/ops/src/audit/chain.ts';
import { linkOnce } from '../packages/ops/src/audit/link.ts';
import { lockChain, readHead } from '../packages/ops/src/audit/queries.ts';
import { verifyAudit } from '../packages/ops/src/audit/verify.ts';
import { opsMigrations } from '../packages/ops/src/ops.ts';
import { type Database, openDatabase, openMigrator, raw, sql, type Tx } from '../packages/ops/src/postgres/index.ts';
import { keepAwake } from './awake.ts';
import { messageOf } from './child-messages.ts';
import { atLeast, below, type Figure, medianOf, type RunOptions } from './report.ts';
import { startServers } from './servers.ts';

export const about = 'audit rows inside transactions of 16 writers, their chain, and a look at the whole of it';

const writers = 16;
/** On average; longer than a sale holds its transaction open after its audit row. */
const openForMs = 20;
/** Between two acts of a writer who acts ten times a second: 160 acts a second in all, several times what a busy marketplace does. */
const restMs = 80;
const key = { id: 'bench', key: randomBytes(32) };
const act: AuditEntry = {
  actor: systemActor,
  action: 'lead.distributed',
  targetType: 'lead',
  targetId: '6b0e7a3c-0000-4000-8000-000000000001',
  reason: 'sold to three providers',
  details: { assignments: 3, charged_cents: 7_500, level: 'standard' },
};

export async function run({ quick, large, say }: RunOptions): Promise<Figure[]> {
  const servers = await startServers();
  await openMigrator({ url: servers.databaseUrl, sets: [opsMigrations] }).up();
  const db = openDatabase({ url: servers.databaseUrl, poolSize: writers + 2, statementTimeoutMs: 300_000 });
  try {
    await db.query(sql`create table plain_log (like ops.audit_log including all)`);
    return [
      ...(await besideLinker(db, () => insideTransactions(db, quick ? 1 : 6, say))),
      ...(await rates(db, quick ? 1 : 5, say)),
      ...(await wholeChain(db, large ? 1_000_000 : quick ? 5_000 : 200_000)),
    ];
  } finally {
    await db.close();
    await servers.stop();
  }
}

/** The linker is a process of its own, as in production; in this one it would hold up the writers it is measured beside. */
async function besideLinker<T>(db: Database, work: () => Promise<T>): Promise<T> {
  const awake = await keepAwake();
  const linker = fork(fileURLToPath(new URL('./audit-linker.ts', import.meta.url)), [db.url, key.key.toString('hex')]);
  try {
    await messageOf(linker, 'the linker');
    return await work();
  } finally {
    const ended = once(linker, 'exit');
    linker.disconnect();
    await ended;
    awake.stop();
  }
}

/** One way to record an act: within the transaction, and at its end. */
interface Way {
  readonly append: (tx: Tx) => Promise<unknown>;
  readonly atEnd?: (tx: Tx) => Promise<unknown>;
}

const ours: Way = { append: (tx) => audit(tx, act) };
const plain: Way = { append: (tx) => insertInto(tx, 'plain_log') };
/** The way not taken: each transaction links its own row, under a lock that it holds until its commit is done. */
const lockedAtEnd: Way = { append: (tx) => insertInto(tx, 'plain_log'), atEnd: linkOwn };

async function insertInto(tx: Tx, table: string): Promise<void> {
  await tx.query(sql`
    insert into ${raw(table)} (actor, actor_name, via, action, target_type, target_id, reason, details, correlation_id)
    values (${act.actor.id}, ${act.actor.name}, ${act.actor.via}, ${act.action}, ${act.targetType}, ${act.targetId},
            ${act.reason}, ${JSON.stringify(act.details)}, 'none')`);
}

async function linkOwn(tx: Tx): Promise<void> {
  await lockChain(tx);
  const head = await readHead(tx);
  const n = (head?.n ?? 0) + 1;
  const row = { seq: n, at_us: 0, actor: 'a', actor_name: 'a', via: 'http', action: 'a.b' } as LoggedRow;
  const hash = linkHash(head?.hash ?? beforeFirst, n, row);
  await tx.query(
    sql`insert into ops.audit_chain (n, seq, hash, seal, key_id) values (${n}, ${-n}, ${hash}, ${sealOf(key, hash)}, 'bench')`,
  );
}

async function insideTransactions(db: Database, seconds: number, say: RunOptions['say']): Promise<Figure[]> {
  const measured = async (way: Way, pauseMs = 0) => {
    const times = await openTransactions(db, way, { seconds, pauseMs });
    await clear(db);
    return times;
  };
  const mine = await measured(ours);
  const bare = await measured(plain);
  const locked = await measured(lockedAtEnd);
  const paced = await measured(ours, restMs);
  const barePaced = await measured(plain, restMs);
  say(`transactions: ${mine.append.length} with a row to be linked, ${locked.append.length} with a lock at their end`);
  const p95 = (times: number[]) => quantile(times, 0.95);
  return [
    below(1, { what: 'audit row in a transaction, 16 writers: p95', value: p95(mine.append), unit: 'ms' }),
    { what: 'a plain insert in its place: p95', value: p95(bare.append), unit: 'ms', target: '', ok: true },
    { what: 'audit row: median', value: quantile(mine.append, 0.5), unit: 'ms', target: '', ok: true },
    { what: 'audit row, ten acts a second each: p95', value: p95(paced.append), unit: 'ms', target: '', ok: true },
    { what: 'a plain insert at that pace: p95', value: p95(barePaced.append), unit: 'ms', target: '', ok: true },
    { what: 'end of the transaction: p95', value: p95(mine.end), unit: 'ms', target: '', ok: true },
    { what: 'end with a lock on the chain instead: p95', value: p95(locked.end), unit: 'ms', target: '', ok: true },
  ];
}

/** Times of the append and of the end of transactions that do other work in between. */
async function openTransactions(db: Database, way: Way, { seconds, pauseMs }: { seconds: number; pauseMs: number }) {
  const append: number[] = [];
  const end: number[] = [];
  const until = performance.now() + seconds * 1_000;
  const warm = until - seconds * 800;
  const write = async () => {
    await wait(Math.random() * openForMs);
    while (performance.now() < until) {
      let appended = 0;
      let endsAt = 0;
      await db.transaction(async (tx) => {
        const begunAt = performance.now();
        await way.append(tx);
        appended = performance.now() - begunAt;
        // Not all the same time: writers that share a commit would go on in step, and each wait for all others.
        await wait(openForMs * (0.5 + Math.random()));
        endsAt = performance.now();
        await way.atEnd?.(tx);
      });
      const ended = performance.now() - endsAt;
      if (pauseMs > 0) await wait(Math.random() * 2 * pauseMs);
      if (endsAt < warm) continue;
      append.push(appended);
      end.push(ended);
    }
  };
  await Promise.all(Array.from({ length: writers }, write));
  return { append, end };
}

/** Transactions with nothing but their row, as fast as they go. The ways take turns. */
async function rates(db: Database, rounds: number, say: RunOptions['say']): Promise<Figure[]> {
  const ways = { ours, plain, lockedAtEnd };
  const measured = { ours: [] as number[], plain: [] as number[], lockedAtEnd: [] as number[] };
  const names = Object.keys(ways) as (keyof typeof ways)[];
  for (const name of names) await rate(db, ways[name], 300);
  for (let round = 0; round < rounds; round += 1) {
    for (let step = 0; step < names.length; step += 1) {
      const name = names[(step + round) % names.length] as keyof typeof ways;
      measured[name].push(await rate(db, ways[name], 1_500));
      await clear(db);
    }
    say(names.map((name) => `${name} ${Math.round(measured[name].at(-1) ?? 0)}/s`).join(', '));
  }
  const ratio = (name: keyof typeof ways) =>
    medianOf(measured[name].map((value, at) => value / (measured.plain[at] ?? value)));
  return [
    {
      what: 'plain inserts with the same indexes',
      value: medianOf(measured.plain),
      unit: 'rows/s',
      target: '',
      ok: true,
    },
    atLeast(0.7, { what: 'audit rows / plain inserts', value: ratio('ours'), unit: 'ratio' }),
    {
      what: 'with a lock at the end / plain inserts',
      value: ratio('lockedAtEnd'),
      unit: 'ratio',
      target: '',
      ok: true,
    },
  ];
}

async function rate(db: Database, way: Way, ms: number): Promise<number> {
  const begunAt = performance.now();
  let rows = 0;
  const write = async () => {
    while (performance.now() - begunAt < ms) {
      await db.transaction(async (tx) => {
        await way.append(tx);
        await way.atEnd?.(tx);
      });
      rows += 1;
    }
  };
  await Promise.all(Array.from({ length: writers }, write));
  return (rows / (performance.now() - begunAt)) * 1_000;
}

async function wholeChain(db: Database, count: number): Promise<Figure[]> {
  await db.query(sql`
    insert into ops.audit_log (actor, actor_name, via, action, target_type, target_id, reason, details, correlation_id)
    select ${act.actor.id}, ${act.actor.name}, ${act.actor.via}, ${act.action}, ${act.targetType}, g::text, ${act.reason},
           ${JSON.stringify(act.details)}::jsonb, 'none' from generate_series(1, ${count}) g`);
  const begunAt = performance.now();
  while ((await linkOnce({ db, keys: [key] })).more);
  const linking = (count / (performance.now() - begunAt)) * 1_000;
  const { rows } = await db.query<{ bytes: number }>(
    sql`select (pg_total_relation_size('ops.audit_log') + pg_total_relation_size('ops.audit_chain')) / ${count} as bytes`,
  );
  const bytes = rows[0]?.bytes ?? Number.NaN;
  global.gc?.();
  const { heapUsed: before } = process.memoryUsage();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().heapUsed)), 20);
  const verdict = await verifyAudit(db, { keys: [key], anchors: [] });
  clearInterval(watch);
  return [
    { what: 'an act on disk, with its link and all indexes', value: bytes, unit: 'bytes', target: '', ok: true },
    { what: 'rows linked', value: linking, unit: 'rows/s', target: '', ok: true },
    {
      what: 'rows verified',
      value: (verdict.checked / verdict.duration_ms) * 1_000,
      unit: 'rows/s',
      target: '',
      ok: true,
    },
    atLeast(count, { what: 'rows found whole', value: verdict.ok ? verdict.checked : 0, unit: 'rows' }),
    below(100, { what: 'heap above what it was, at most', value: (most - before) / 2 ** 20, unit: 'MiB' }),
  ];
}

/** As if nothing had been done: rows of one way would only burden the next. */
async function clear(db: Database): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.query(sql`set local session_replication_role = replica`);
    await tx.query(sql`truncate ops.audit_log, ops.audit_chain, ops.audit_pending, plain_log`);
  });
}

function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
