import { type Database, join, sql, type Sql } from '../postgres/index.ts';
import type { AuditRow } from './contract.ts';

export interface AuditQuery {
  /** Id of who acted. */
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  /** A type of targets. */
  readonly targetType?: string | undefined;
  /** One of that type. */
  readonly targetId?: string | undefined;
  /** Of this moment or later. */
  readonly from?: Date | undefined;
  /** Before this moment. */
  readonly to?: Date | undefined;
  /** Rows older than the one of this number. */
  readonly before?: number | undefined;
  readonly limit: number;
}

/** Acts, newest first. */
export async function listAudit(db: Database, query: AuditQuery): Promise<AuditRow[]> {
  const { rows } = await db.query<Omit<AuditRow, 'at'> & { at: Date }>(sql`
    select l.seq, c.n, l.at, l.actor, l.actor_name, l.via, l.action, l.target_type, l.target_id, l.reason, l.details, l.correlation_id
    from ops.audit_log l left join ops.audit_chain c on c.seq = l.seq
    where ${join(conditionsOf(query), ' and ')}
    order by l.seq desc limit ${query.limit}`);
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
}

function conditionsOf({ actor, action, targetType, targetId, from, to, before }: AuditQuery): Sql[] {
  return [
    sql`true`,
    ...(actor === undefined ? [] : [sql`l.actor = ${actor}`]),
    ...(action === undefined ? [] : [sql`l.action = ${action}`]),
    ...(targetType === undefined ? [] : [sql`l.target_type = ${targetType}`]),
    ...(targetId === undefined ? [] : [sql`l.target_id = ${targetId}`]),
    ...(from === undefined ? [] : [sql`l.at >= ${from}`]),
    ...(to === undefined ? [] : [sql`l.at < ${to}`]),
    ...(before === undefined ? [] : [sql`l.seq < ${before}`]),
  ];
}
