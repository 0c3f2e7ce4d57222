/**
 * What an act pays for its audit row, and what linking and verifying the chain cost.
 *
 * Sixteen writers change a row of their own in transactions that stay open for 10 to 30 ms, longer than a sale does, one after another and
 * ten a second each, while a process links what they audit. An act sends its audit row and makes its change: what the row costs is how much
 * longer that takes than in the same acts without a row, p95 by p95. The same is done with an insert that is waited for; with the row right
 * before the commit, which waits for the disk, and for a linker that has something to write; and with the way not taken: a lock on the chain
 * at the end of each transaction. See docs/decisions on the audit chain.
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
import {
  type Database,
  openDatabase,
  openMigrator,
  prepared,
  raw,
  sql,
  type Tx,
} from '../packages/ops/src/postgres/index.ts';
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
      ...(await besideLinker(db, () => insideTransactions(db, quick ? 0.3 : 3, say))),
      ...(await rates(db, quick ? 1 : 5, say)),
      ...(await wholeChain(db, large ? 1_000_000 : quick ? 5_000 : 200_000)),
    ];
  } finally {
    await db.close();
    await servers.stop();
  }
}

/**
 * The linker is a process of its own, as in production; in this one it would hold up the writers it is measured beside. The cores are not kept
 * awake: these writers leave them no time to fall asleep, and what spins beside them makes all of them wait for their turn.
 */
async function besideLinker<T>(db: Database, work: () => Promise<T>): Promise<T> {
  const linker = fork(fileURLToPath(new URL('./audit-linker.ts', import.meta.url)), [db.url, key.key.toString('hex')]);
  try {
    await messageOf(linker, 'the linker');
    return await work();
  } finally {
    const ended = once(linker, 'exit');
    linker.disconnect();
    await ended;
  }
}

/** One way to record an act: before its change, and at the end of its transaction. */
interface Way {
  readonly append?: (tx: Tx) => Promise<unknown>;
  readonly atEnd?: (tx: Tx) => Promise<unknown>;
}

const nothing: Way = {};
const ours: Way = { append: (tx) => audit(tx, act) };
const oursAtEnd: Way = { atEnd: (tx) => audit(tx, act) };
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

const turns = 5;

/** p95 in ms of the change with what is recorded before it, and of the commit with what is recorded before that. */
interface Waits {
  readonly change: number;
  readonly end: number;
}

async function insideTransactions(db: Database, seconds: number, say: RunOptions['say']): Promise<Figure[]> {
  await db.query(sql`create table acted as select n as writer, 0 as times from generate_series(1, ${writers}) n`);
  const ways = { nothing, ours, oursAtEnd, plain, lockedAtEnd };
  const measured: Record<keyof typeof ways | 'oursPaced' | 'nothingPaced', Waits>[] = [];
  // The first turn warms up: connections have statements to prepare, and tables get their size.
  for (let turn = 0; turn <= turns; turn += 1) {
    const waitsOf = async (way: Way, pauseMs = 0) => {
      const waits = await openTransactions(db, way, { seconds, pauseMs });
      await clear(db);
      return waits;
    };
    const one = {
      nothing: await waitsOf(nothing),
      ours: await waitsOf(ours),
      oursAtEnd: await waitsOf(oursAtEnd),
      plain: await waitsOf(plain),
      lockedAtEnd: await waitsOf(lockedAtEnd),
      oursPaced: await waitsOf(ours, restMs),
      nothingPaced: await waitsOf(nothing, restMs),
    };
    if (turn > 0) measured.push(one);
    say(
      `a change takes ${one.nothing.change.toFixed(2)} ms, with a row ${one.ours.change.toFixed(2)}, with one that is waited for ${one.plain.change.toFixed(2)}`,
    );
  }
  const more = (way: keyof (typeof measured)[number], than: keyof (typeof measured)[number], part: keyof Waits) =>
    medianOf(measured.map((turn) => turn[way][part] - turn[than][part]));
  const told = (what: string, value: number): Figure => ({ what, value, unit: 'ms', target: '', ok: true });
  return [
    below(1, {
      what: 'audit row in a transaction, 16 writers: p95',
      value: more('ours', 'nothing', 'change'),
      unit: 'ms',
    }),
    told('a plain insert in its place that is waited for: p95', more('plain', 'nothing', 'change')),
    told('audit row, ten acts a second each: p95', more('oursPaced', 'nothingPaced', 'change')),
    told('the change alone: p95', medianOf(measured.map((turn) => turn.nothing.change))),
    told('audit row right before the commit: p95', more('oursAtEnd', 'nothing', 'end')),
    told('a lock on the chain at the end instead: p95', more('lockedAtEnd', 'nothing', 'end')),
    told('the commit alone: p95', medianOf(measured.map((turn) => turn.nothing.end))),
  ];
}

async function openTransactions(
  db: Database,
  way: Way,
  { seconds, pauseMs }: { seconds: number; pauseMs: number },
): Promise<Waits> {
  const change: number[] = [];
  const end: number[] = [];
  const until = performance.now() + seconds * 1_000;
  const warm = until - seconds * 800;
  const write = async (writer: number) => {
    await wait(Math.random() * openForMs);
    while (performance.now() < until) {
      const begunAt = performance.now();
      let changedAt = 0;
      let endsAt = 0;
      await db.transaction(async (tx) => {
        await way.append?.(tx);
        await tx.query(prepared('act', sql`update acted set times = times + 1 where writer = ${writer}`));
        changedAt = performance.now();
        // Not all the same time: writers that share a commit would go on in step, and each wait for all others.
        await wait(openForMs * (0.5 + Math.random()));
        endsAt = performance.now();
        await way.atEnd?.(tx);
      });
      const ended = performance.now() - endsAt;
      if (pauseMs > 0) await wait(Math.random() * 2 * pauseMs);
      if (begunAt < warm) continue;
      change.push(changedAt - begunAt);
      end.push(ended);
    }
  };
  await Promise.all(Array.from({ length: writers }, (_, at) => write(at + 1)));
  return { change: quantile(change, 0.95), end: quantile(end, 0.95) };
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
        await way.append?.(tx);
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
