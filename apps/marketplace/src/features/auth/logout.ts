import { audit, type Database } from '@fmhl/ops';
import { entryOf } from './challenge.ts';
import { revokeSession, type SessionRow } from './queries.ts';
import { revokeUserSessions } from './sessions.ts';

/** Ends the session, or with `all` every session of its user; who has shown a password alone ends their own only. */
export async function logout(
  session: SessionRow,
  { all }: { all: boolean },
  { db, now }: { db: Database; now: () => Date },
): Promise<void> {
  const endsAll = all && session.kind === 'full';
  await db.transaction(async (tx) => {
    if (endsAll) await revokeUserSessions(tx, session.user_id, { now: now() });
    else await revokeSession(tx, { id: session.id, now: now() });
    await audit(tx, { ...entryOf(session), action: 'auth.signed_out', details: { all: endsAll } });
  });
}
