import { type Actor, audit, type Database, type Queryable, sql } from '@fmhl/ops';
import { createUser, openSession, type Role } from '../../features/auth/index.ts';
import type { Log } from '../../log.ts';
import { type Caller, openCaller } from './caller.ts';

/** Those of the staff and the providers whom the simulator acts for. What they do goes through the API, as with anybody. */
export interface People {
  /** Of the staff, always with a second factor just shown. */
  readonly operator: Caller;
  /** A provider, by the id of its user. */
  provider(userId: string): Caller;
}

export interface PeopleDeps {
  readonly db: Database;
  readonly url: string;
  readonly log: Log;
}

const operatorEmail = 'simulated-operator@fmhl.example.com';
const actor: Actor = { id: 'simulator', name: 'Simulator', via: 'system' };
/** Before a second factor counts as stale, and a session as idle. */
const freshForMs = 10 * 60_000;

/**
 * Sessions without passwords: who may write to the database may open them, as `fmhl user` may make users. Nobody can sign in as the
 * simulated operator, whose password has no hash.
 */
export function openPeople({ db, url, log }: PeopleDeps): People {
  const operator = remembered(async () => tokenFor(db, { id: await operatorId(db, log), role: 'admin' }));
  const providers = new Map<string, Caller>();
  return {
    operator: openCaller(url, operator),
    provider(userId) {
      const known = providers.get(userId);
      if (known) return known;
      const caller = openCaller(
        url,
        remembered(() => tokenFor(db, { id: userId, role: 'provider' })),
      );
      providers.set(userId, caller);
      return caller;
    },
  };
}

/** Makes a value anew when it is old. Who asks meanwhile gets the same. */
function remembered(make: () => Promise<string>): () => Promise<string> {
  let made: { at: number; value: Promise<string> } | undefined;
  return () => {
    if (!made || Date.now() - made.at > freshForMs) made = { at: Date.now(), value: make() };
    return made.value;
  };
}

async function tokenFor(db: Database, user: { id: string; role: Role }): Promise<string> {
  const now = new Date();
  const mfaAt = user.role === 'provider' ? undefined : now;
  const draft = { kind: 'full', mfaAt, ip: '127.0.0.1', userAgent: 'fmhl simulator', now } as const;
  return (await db.transaction((tx) => openSession(tx, user, draft))).token;
}

async function operatorId(db: Database, log: Log): Promise<string> {
  const known = await userOf(db, operatorEmail);
  if (known !== undefined) return known;
  const draft = { email: operatorEmail, passwordHash: 'none', displayName: 'Simulated operator' };
  await db.transaction(async (tx) => {
    const id = await createUser(tx, { ...draft, role: 'admin', emailVerified: true }, { log });
    if (id === undefined) return;
    const reason = 'Acts for the staff in simulated traffic and scenarios';
    await audit(tx, {
      actor,
      action: 'user.created',
      targetType: 'user',
      targetId: id,
      reason,
      details: { role: 'admin' },
    });
  });
  return (await userOf(db, operatorEmail)) ?? '';
}

async function userOf(db: Queryable, email: string): Promise<string | undefined> {
  const { rows } = await db.query<{ id: string }>(sql`select id from identity.users where email_norm = ${email}`);
  return rows[0]?.id;
}
