import { type Database, type Queryable, sql, type Sql, type Tx } from '../postgres/index.ts';
import type { LoggedRow } from './chain.ts';

export interface Link {
  readonly n: number;
  readonly seq: number;
  readonly hash: Buffer;
  readonly seal: Buffer | null;
  readonly key_id: string | null;
}

/** A link beside its row, which is missing where `logged` is null. */
export type WalkedLink = (Link & { readonly logged: null }) | (Link & { readonly logged: true } & LoggedRow);

const content = sql`
  (extract(epoch from l.at) * 1000000)::bigint as at_us, l.actor, l.actor_name, l.via, l.action, l.target_type, l.target_id,
  l.reason, l.details::text as details, l.correlation_id`;

/** One linker at a time, until its commit. Those who only append never wait for it. */
export async function lockChain(tx: Tx): Promise<void> {
  await tx.query(sql`select pg_advisory_xact_lock(hashtextextended('ops.audit_chain', 0))`);
}

export async function readHead(db: Queryable): Promise<Link | undefined> {
  const { rows } = await db.query<Link>(
    sql`select n, seq, hash, seal, key_id from ops.audit_chain order by n desc limit 1`,
  );
  return rows[0];
}

export async function readHash(db: Queryable, n: number): Promise<Buffer | undefined> {
  const { rows } = await db.query<{ hash: Buffer }>(sql`select hash from ops.audit_chain where n = ${n}`);
  return rows[0]?.hash;
}

export async function isAnyPending(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ any: boolean }>(sql`select exists (select from ops.audit_pending) as any`);
  return rows[0]?.any === true;
}

/** A row that waits for its link. One that has a link already was put here by somebody else, and so was one that is not logged. */
export type PendingRow = LoggedRow & { readonly is_linked: boolean; readonly is_logged: boolean };

/** Committed rows that wait, after the one of this number. */
export async function readPending(tx: Tx, after: number, limit: number): Promise<PendingRow[]> {
  const { rows } = await tx.query<PendingRow>(sql`
    with waiting as materialized (select seq from ops.audit_pending where seq > ${after} order by seq limit ${limit})
    select p.seq, ${content}, l.seq is not null as is_logged,
           exists (select from ops.audit_chain c where c.seq = p.seq) as is_linked
    from waiting p left join ops.audit_log l on l.seq = p.seq
    order by p.seq`);
  return rows;
}

export async function insertLinks(tx: Tx, links: readonly Link[], settled: readonly number[]): Promise<void> {
  await tx.query(sql`
    with linked as (
      insert into ops.audit_chain (n, seq, hash, seal, key_id)
      select * from unnest(${links.map(({ n }) => n)}::bigint[], ${links.map(({ seq }) => seq)}::bigint[],
        ${links.map(({ hash }) => hash)}::bytea[], ${links.map(({ seal }) => seal)}::bytea[],
        ${links.map(({ key_id }) => key_id)}::text[]))
    delete from ops.audit_pending where seq = any(${settled}::bigint[])`);
}

/** Links after `after` and up to `to` with their rows, in order. Bounded on both sides: a limit would have Postgres sort the rest of the chain. */
export async function readWalk(db: Queryable, { after, to }: { after: number; to: number }): Promise<WalkedLink[]> {
  const { rows } = await db.query<WalkedLink>(sql`
    select c.n, c.seq, c.hash, c.seal, c.key_id, l.seq is not null or null as logged, ${content}
    from ops.audit_chain c left join ops.audit_log l on l.seq = c.seq
    where c.n > ${after} and c.n <= ${to} order by c.n`);
  return rows;
}

export async function readLinks(db: Queryable, after: number, limit: number): Promise<Link[]> {
  const { rows } = await db.query<Link>(sql`
    select n, seq, hash, seal, key_id from ops.audit_chain where n > ${after} order by n limit ${limit}`);
  return rows;
}

export async function readPendingCount(db: Queryable): Promise<{ count: number; oldest_at: Date | null }> {
  const { rows } = await db.query<{ count: number; oldest_at: Date | null }>(sql`
    select count(*) as count, min(l.at) as oldest_at from ops.audit_pending p join ops.audit_log l on l.seq = p.seq`);
  return rows[0] ?? { count: 0, oldest_at: null };
}

/** The first row that was deleted before it had a link. */
export async function firstDeletedPending(db: Queryable): Promise<number | undefined> {
  return firstSeq(
    db,
    sql`
    select p.seq from ops.audit_pending p where not exists (select from ops.audit_log l where l.seq = p.seq)
    order by p.seq limit 1`,
  );
}

/** Rows one statement looks through. */
const rangeSize = 200_000;

/** The first row from `from` on that has neither a link nor waits for one. */
export async function firstStray(db: Database, from: number): Promise<number | undefined> {
  const { rows } = await db.query<{ least: number | null; most: number | null }>(
    sql`select min(seq) as least, max(seq) as most from ops.audit_log where seq >= ${from}`,
  );
  const { least, most } = rows[0] ?? {};
  for (let at = least ?? 1; at <= (most ?? 0); at += rangeSize) {
    const found = await firstSeq(db, strayIn(at));
    if (found !== undefined) return found;
  }
  return undefined;
}

const strayIn = (from: number): Sql => sql`
  select l.seq from ops.audit_log l
  where l.seq >= ${from} and l.seq < ${from + rangeSize}
    and not exists (select from ops.audit_chain c where c.seq = l.seq and c.seq >= ${from} and c.seq < ${from + rangeSize})
    and not exists (select from ops.audit_pending p where p.seq = l.seq)
  order by l.seq limit 1`;

async function firstSeq(db: Queryable, statement: Sql): Promise<number | undefined> {
  return (await db.query<{ seq: number }>(statement)).rows[0]?.seq;
}

/** How far the numbering of rows has come: deleted rows have used their numbers, those of a restored copy have not. Undefined where it may not be read. */
export async function readLastSeq(db: Queryable): Promise<number | undefined> {
  const { rows } = await db.query<{ last_value: number | null }>(sql`
    select last_value from pg_sequences
    where format('%I.%I', schemaname, sequencename) = pg_get_serial_sequence('ops.audit_log', 'seq')`);
  return rows[0]?.last_value ?? undefined;
}

/** What tells one Postgres from another; a physical copy keeps it. */
export async function readDatabaseIdentity(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ id: string }>(sql`select system_identifier::text as id from pg_control_system()`);
  return rows[0]?.id ?? '';
}
