import type { Queryable } from '@fmhl/ops';
import { removeOldFailures } from './attempts.ts';
import { removeOldSessions } from './queries.ts';

/** How long an ended session can still be looked up. */
const sessionsKeptMs = 7 * 24 * 60 * 60_000;

/** Removes sessions that ended a week ago and attempts to sign in of more than a day, `limit` of each. Answers how many. */
export async function removeOldSignIns(
  db: Queryable,
  { now, limit }: { now: Date; limit: number },
): Promise<{ sessions: number; failures: number }> {
  const before = new Date(now.getTime() - sessionsKeptMs);
  const sessions = await removeOldSessions(db, { before, limit });
  return { sessions, failures: await removeOldFailures(db, { now, limit }) };
}
