import { type Actor, audit, type Queryable, sql, type Tx } from '@fmhl/ops';
import type { z } from 'zod';
import { cutPage, decodeCursor } from '../../paging.ts';
import { type LeadSource, type SourceQuery, sourceCursor, type sourceList } from './source-contract.ts';

interface SourceChange {
  readonly source: string;
  readonly memo: string;
  readonly actor: Actor;
}

/** Whether leads of a source are refused. The intake asks the same in its own statement, so that it needs no second one. */
export async function isBlocked(db: Queryable, source: string): Promise<boolean> {
  const { rowCount } = await db.query(sql`select from lead_source where source = ${source} and blocked_at is not null`);
  return rowCount === 1;
}

/** Refuses leads of a source from the next one on. Those that were taken in stay. Again: `changed: false`. */
export async function blockSource(tx: Tx, { source, memo, actor }: SourceChange): Promise<{ changed: boolean }> {
  const { rowCount } = await tx.query(sql`
    insert into lead_source as s (source, blocked_at, blocked_by, memo) values (${source}, clock_timestamp(), ${actor.id}, ${memo})
    on conflict (source) do update
    set blocked_at = excluded.blocked_at, blocked_by = excluded.blocked_by, memo = excluded.memo, version = s.version + 1,
        updated_at = clock_timestamp()
    where s.blocked_at is null`);
  return auditChange(tx, { source, memo, actor }, { action: 'source.blocked', changed: rowCount === 1 });
}

/** Takes leads of a source in again. One that is not blocked, or that nobody knows, stays as it is: `changed: false`. */
export async function unblockSource(tx: Tx, { source, memo, actor }: SourceChange): Promise<{ changed: boolean }> {
  const { rowCount } = await tx.query(sql`
    update lead_source set blocked_at = null, blocked_by = null, memo = ${memo}, version = version + 1, updated_at = clock_timestamp()
    where source = ${source} and blocked_at is not null`);
  return auditChange(tx, { source, memo, actor }, { action: 'source.unblocked', changed: rowCount === 1 });
}

async function auditChange(
  tx: Tx,
  { source, memo, actor }: SourceChange,
  { action, changed }: { action: string; changed: boolean },
): Promise<{ changed: boolean }> {
  if (changed) await audit(tx, { actor, action, targetType: 'source', targetId: source, reason: memo });
  return { changed };
}

interface SourceRow {
  source: string;
  blocked_at: Date | null;
  blocked_by: string | null;
  memo: string | null;
  last_lead_at: Date | null;
  leads_24h: number;
}

/** Of one source: more than this many are not counted. */
export const countedAtMost = 10_000;

/** One page of the sources that leads named or somebody judged, in order of their names. */
export async function listSources(db: Queryable, query: SourceQuery): Promise<z.infer<typeof sourceList>> {
  const { limit } = query;
  const { rows } = await db.query<SourceRow>(sourcesStatement(query));
  return cutPage(rows, limit, { item: viewSource, cursor: ({ source }) => [source] });
}

/** Each name is one probe of an index: to group the leads would read them all. */
export function sourcesStatement({ limit, cursor, blocked }: SourceQuery) {
  const [after = ''] = decodeCursor(cursor, sourceCursor) ?? [];
  const known = sql`
    with recursive known(source) as (
      select ${nextSource(sql`${after}::text`)}
      union all
      select ${nextSource(sql`known.source`)} from known where known.source is not null)
    select source from known where source is not null limit ${limit + 1}::int`;
  const judged = sql`
    select source from lead_source where blocked_at is not null and source > ${after} order by source limit ${limit + 1}::int`;
  return sql`
    select k.source, s.blocked_at, s.blocked_by, s.memo,
           (select l.created_at from lead l where l.source = k.source order by l.created_at desc, l.id desc limit 1) as last_lead_at,
           (select count(*)::int from (select from lead l where l.source = k.source and l.created_at > now() - interval '1 day'
                                       limit ${countedAtMost}::int) day) as leads_24h
    from (${blocked ? judged : known}) k left join lead_source s on s.source = k.source
    order by k.source`;
}

function nextSource(after: ReturnType<typeof sql>) {
  return sql`
    (select min(n.source) from (
       (select l.source from lead l where l.source > ${after} order by l.source limit 1)
       union all
       (select s.source from lead_source s where s.source > ${after} order by s.source limit 1)) n)`;
}

function viewSource({ blocked_at, last_lead_at, ...row }: SourceRow): LeadSource {
  return {
    ...row,
    blocked_at: blocked_at?.toISOString() ?? null,
    last_lead_at: last_lead_at?.toISOString() ?? null,
  };
}
