import { type Queryable, sql } from '@fmhl/ops';
import { deleteOldChallenges } from '../second-factor/index.ts';

/**
 * Removes what has ended: links 7 days after their end, API tokens 90 days after theirs (so that a person can still see them), and
 * challenges at once. Answers how many rows. For a loop.
 */
export async function removeEnded(db: Queryable, now: Date): Promise<number> {
  const links = await db.query(sql`
    delete from identity.user_token where expires_at < ${now}::timestamptz - interval '7 days'`);
  const tokens = await db.query(sql`
    delete from identity.api_token
    where least(expires_at, revoked_at) < ${now}::timestamptz - interval '90 days'`);
  const challenges = await deleteOldChallenges(db, now);
  return (links.rowCount ?? 0) + (tokens.rowCount ?? 0) + challenges;
}
