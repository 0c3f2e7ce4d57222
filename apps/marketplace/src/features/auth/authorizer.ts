import type { Actor, Authorization, Authorize, Database } from '@fmhl/ops';
import type { FastifyRequest } from 'fastify';
import { permissionsOf } from '../../access.ts';
import { refuse } from '../../errors.ts';
import { sessionByToken, type SessionRow, touchSession } from './queries.ts';
import { idleExpiry, judgeSession, type SessionLife } from './session-rules.ts';
import { presentedToken } from './token.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route also serves a session whose second factor is still to be shown. */
    acceptsPending?: boolean;
  }
}

export interface AuthorizerDeps {
  db: Database;
  now: () => Date;
  /** Where people reach the application: its origin counts as our own, also behind a proxy that ends TLS. */
  publicUrl: string;
  /** Who acts with an API token, if it lives. The composition gives it, as those belong to a feature above this one. */
  authorizeToken: (token: string, now: Date) => Promise<Authorization | undefined>;
}

/**
 * Answers who asks, by Bearer token or session cookie, with one indexed read. Refuses `token_invalid`, `session_expired`,
 * `mfa_challenge_required`, and `origin_refused` for a write by cookie that another site could have made.
 */
export function openAuthorizer({ db, now, publicUrl, authorizeToken }: AuthorizerDeps): Authorize {
  const { origin: publicOrigin } = new URL(publicUrl);
  return async (request) => {
    const presented = presentedToken(request);
    if (!presented) return undefined;
    if (presented.by === 'api_token') return (await authorizeToken(presented.token, now())) ?? refuseToken();
    if (presented.by === 'cookie' && isForeignWrite(request, publicOrigin)) {
      // Whose browser was made to ask is worth a row in the audit log; the session is not used by it.
      request.authorization = await browserOf(db, presented.sha256, now());
      throw refuse('origin_refused');
    }
    const session = await liveSession(db, presented.sha256, now());
    if (session) return authorizationOf(session, request);
    if (presented.by === 'bearer') throw refuse('token_invalid');
    return undefined;
  };
}

function refuseToken(): never {
  throw refuse('token_invalid');
}

/** The session of a token, its use noted at most once a minute; undefined when there is none. Refuses `session_expired`. */
export async function liveSession(db: Database, tokenSha256: Buffer, now: Date): Promise<SessionRow | undefined> {
  const session = await sessionByToken(db, tokenSha256);
  if (!session) return undefined;
  const verdict = judgeSession(lifeOf(session), now);
  if (verdict === 'unknown') return undefined;
  if (verdict === 'ended') throw refuse('session_expired');
  if (verdict === 'seen') {
    const idleExpiresAt = idleExpiry(session.role, now, session.expires_at);
    await touchSession(db, { id: session.id, seenAt: session.last_seen_at, now, idleExpiresAt });
  }
  return session;
}

const lifeOf = (session: SessionRow): SessionLife => ({
  role: session.role,
  userStatus: session.user_status,
  lastSeenAt: session.last_seen_at,
  idleExpiresAt: session.idle_expires_at,
  expiresAt: session.expires_at,
  revokedAt: session.revoked_at,
});

/** Whose session a cookie is, with no permission: for the record of a refusal. */
async function browserOf(db: Database, tokenSha256: Buffer, now: Date): Promise<Authorization | undefined> {
  const session = await sessionByToken(db, tokenSha256);
  if (!session || !['live', 'seen'].includes(judgeSession(lifeOf(session), now))) return undefined;
  return { actor: actorOf(session), permissions: nothing };
}

const actorOf = (session: SessionRow): Actor => ({ id: session.user_id, name: session.display_name, via: 'http' });

/** Who shows a right password and has more to show may do that and sign out, and nothing else. */
function authorizationOf(session: SessionRow, request: FastifyRequest): SessionAuthorization {
  const isPending = session.kind === 'mfa_pending';
  if (isPending && request.routeOptions.config.acceptsPending !== true) throw refuse('mfa_challenge_required');
  return {
    actor: actorOf(session),
    permissions: (isPending ? undefined : permissionSets[session.role]) ?? nothing,
    secondFactorAt: session.mfa_at ?? undefined,
    session,
  };
}

/** What a session may do, and the session for those routes that are about it. */
interface SessionAuthorization extends Authorization {
  readonly session: SessionRow;
}

const nothing: ReadonlySet<string> = new Set();
const permissionSets: Readonly<Record<string, ReadonlySet<string>>> = Object.fromEntries(
  Object.entries(permissionsOf).map(([role, permissions]) => [role, new Set(permissions)]),
);

/** Browsers send cookies along with whatever a page asks for; only our own pages have our origin and can set our header. */
function isForeignWrite(request: FastifyRequest, publicOrigin: string): boolean {
  if (['GET', 'HEAD', 'OPTIONS'].includes(request.method)) return false;
  const { origin, 'x-fmhl-client': client } = request.headers;
  const isOurs = origin === publicOrigin || origin === `${request.protocol}://${request.host}`;
  return !isOurs || client !== '1';
}
