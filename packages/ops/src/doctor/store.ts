import { type Database, type Queryable, sql } from '../postgres/index.ts';
import type { ProbeResult } from './contract.ts';
import type { Look } from './scope.ts';

export type StoredProbe = Omit<ProbeResult, 'title' | 'next'>;

/** A look that was stored. */
export interface StoredLook extends Look {
  readonly probes: readonly StoredProbe[];
}

/** How long looks stay, in days. */
const keptDays = 7;

interface LookRow {
  begun_at: Date;
  probes: StoredProbe[];
}

/** The newest look; with an age, only one that is no older. Undefined where there is none. */
export async function readLastLook(
  db: Queryable,
  { maxAgeMs }: { maxAgeMs?: number } = {},
): Promise<StoredLook | undefined> {
  const { rows } = await db.query<LookRow>(sql`
    select begun_at, probes from ops.invariant_run
    where ${maxAgeMs ?? null}::bigint is null or begun_at > clock_timestamp() - ${maxAgeMs ?? null}::bigint * interval '1 ms'
    order by id desc limit 1`);
  const row = rows[0];
  return row && { begunAt: row.begun_at, probes: row.probes };
}

/** Whether everything was looked at within so many ms. */
export async function hasFullLook(db: Queryable, withinMs: number): Promise<boolean> {
  const { rows } = await db.query<{ has: boolean }>(sql`
    select exists (select from ops.invariant_run
                   where is_full and begun_at > clock_timestamp() - ${withinMs}::bigint * interval '1 ms') as has`);
  return rows[0]?.has === true;
}

/** Stores a look, and removes those whose time is over. */
export async function saveLook(
  db: Database,
  look: { begunAt: Date; isFull: boolean; probes: readonly ProbeResult[] },
): Promise<void> {
  const probes: StoredProbe[] = look.probes.map(({ title: _title, next: _next, ...probe }) => probe);
  await db.transaction(async (tx) => {
    await tx.query(sql`
      insert into ops.invariant_run (begun_at, is_full, probes)
      values (${look.begunAt}, ${look.isFull}, ${JSON.stringify(probes)}::jsonb)`);
    await tx.query(
      sql`delete from ops.invariant_run where begun_at < clock_timestamp() - ${keptDays} * interval '1 day'`,
    );
  });
}
