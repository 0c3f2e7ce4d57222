import type { Authorization, Authorize, Database } from '@fmhl/ops';
import type { FastifyRequest } from 'fastify';
import { permissionsOf } from '../../access.ts';
import { refuse } from '../../errors.ts';
import { sessionByToken, type SessionRow, touchSession } from './queries.ts';
import { idleExpiry, judgeSession } from './session-rules.ts';
import { presentedToken } from './token.ts';

export interface AuthorizerDeps {
  db: Database;
  now: () => Date;
  /** Where people reach the application: its origin counts as our own, also behind a proxy that ends TLS. */
  publicUrl: string;
}

/**
 * Answers who asks, by Bearer token or session cookie, with one indexed read. Refuses `token_invalid`, `session_expired`, and
 * `origin_refused` for a write by cookie that another site could have made.
 */
export function openAuthorizer({ db, now, publicUrl }: AuthorizerDeps): Authorize {
  const { origin: publicOrigin } = new URL(publicUrl);
  return async (request) => {
    const presented = presentedToken(request);
    if (!presented) return undefined;
    if (presented.by === 'cookie') refuseForeignWrite(request, publicOrigin);
    const session = await liveSession(db, presented.sha256, now());
    if (session) return authorizationOf(session, now());
    if (presented.by === 'bearer') throw refuse('token_invalid');
    return undefined;
  };
}

/** The session of a token, its use noted at most once a minute; undefined when there is none. Refuses `session_expired`. */
export async function liveSession(db: Database, tokenSha256: Buffer, now: Date): Promise<SessionRow | undefined> {
  const session = await sessionByToken(db, tokenSha256);
  if (!session) return undefined;
  const verdict = judgeSession(
    {
      role: session.role,
      userStatus: session.user_status,
      lastSeenAt: session.last_seen_at,
      idleExpiresAt: session.idle_expires_at,
      expiresAt: session.expires_at,
      revokedAt: session.revoked_at,
    },
    now,
  );
  if (verdict === 'unknown') return undefined;
  if (verdict === 'ended') throw refuse('session_expired');
  if (verdict === 'seen') {
    const idleExpiresAt = idleExpiry(session.role, now, session.expires_at);
    await touchSession(db, { id: session.id, seenAt: session.last_seen_at, now, idleExpiresAt });
  }
  return session;
}

function authorizationOf(session: SessionRow, now: Date): Authorization {
  return {
    actor: { id: session.user_id, name: session.display_name, via: 'http' },
    permissions: permissionSets[session.role] ?? nothing,
    secondFactorAt: secondFactorOf(session, now),
  };
}

const nothing: ReadonlySet<string> = new Set();
const permissionSets: Readonly<Record<string, ReadonlySet<string>>> = Object.fromEntries(
  Object.entries(permissionsOf).map(([role, permissions]) => [role, new Set(permissions)]),
);

/** The seam of the second factor: while there is none to enrol, a session by password counts as having just shown it. */
export function secondFactorOf(session: Pick<SessionRow, 'mfa_at'>, now: Date): Date {
  return session.mfa_at ?? now;
}

/** Browsers send cookies along with whatever a page asks for; only our own pages have our origin and can set our header. */
function refuseForeignWrite(request: FastifyRequest, publicOrigin: string): void {
  if (['GET', 'HEAD', 'OPTIONS'].includes(request.method)) return;
  const { origin, 'x-fmhl-client': client } = request.headers;
  const isOurs = origin === publicOrigin || origin === `${request.protocol}://${request.host}`;
  if (!isOurs || client !== '1') throw refuse('origin_refused');
}
