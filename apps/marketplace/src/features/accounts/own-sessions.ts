import { type Actor, audit, type Queryable, sql, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';

export interface OwnSessionRow {
  id: string;
  ip: string | null;
  user_agent: string | null;
  mfa_at: Date | null;
  created_at: Date;
  last_seen_at: Date;
  expires_at: Date;
  position: string;
}

/** The sessions of a user that live, newest first, behind `after` (a moment and an id). */
export async function listSessions(
  db: Queryable,
  {
    userId,
    now,
    after,
    limit,
  }: { userId: string; now: Date; after: readonly [string, string] | undefined; limit: number },
): Promise<OwnSessionRow[]> {
  const { rows } = await db.query<OwnSessionRow>(sql`
    select id, ip, user_agent, mfa_at, created_at, last_seen_at, expires_at, created_at::text as position
    from identity.session
    where user_id = ${userId} and kind = 'full' and revoked_at is null and expires_at > ${now} and idle_expires_at > ${now}
      ${after ? sql`and (created_at, id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
    order by created_at desc, id desc limit ${limit}`);
  return rows;
}

/** Ends a session of a user; one that has ended stays so. Refuses `not_found` for the session of another. */
export async function endSession(
  tx: Tx,
  { id, userId, actor, now }: { id: string; userId: string; actor: Actor; now: Date },
): Promise<void> {
  const { rows } = await tx.query<{ ends_now: boolean }>(sql`
    update identity.session
    set revoked_at = coalesce(revoked_at, ${now}), updated_at = ${now}, version = version + 1
    where id = ${id} and user_id = ${userId}
    returning revoked_at = ${now} as ends_now`);
  if (!rows[0]) throw refuse('not_found');
  if (!rows[0].ends_now) return;
  await audit(tx, {
    actor,
    action: 'user.sessions_revoked',
    targetType: 'session',
    targetId: id,
    details: { sessions: 1 },
  });
}
