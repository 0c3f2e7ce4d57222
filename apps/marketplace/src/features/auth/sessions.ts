import type { Queryable, Tx } from '@fmhl/ops';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { refuse } from '../../errors.ts';
import type { Role } from './contract.ts';
import { insertSession, revokeSessionsOf, type SessionRow } from './queries.ts';
import { sessionCookie, writeCookie } from './session-cookie.ts';
import { idleExpiry, pendingMs, sessionTerms } from './session-rules.ts';
import { createToken, sha256Of } from './token.ts';

/** Where a session is used from. */
export interface Client {
  readonly ip: string;
  readonly userAgent: string | undefined;
}

export interface SessionDraft extends Client {
  /** `mfa_pending`: the password was right, and the second factor is to be shown within five minutes. */
  readonly kind: 'full' | 'mfa_pending';
  /** When the second factor was shown. */
  readonly mfaAt?: Date | undefined;
  /** Absolute end, where it goes on from another session; else worked out from the role. */
  readonly expiresAt?: Date | undefined;
  readonly now: Date;
}

export interface OpenedSession {
  /** Answered once, never stored. */
  readonly token: string;
  readonly expiresAt: Date;
}

/** Opens a session in the caller's transaction. */
export async function openSession(
  tx: Tx,
  user: { id: string; role: Role },
  { kind, mfaAt, ip, userAgent, now, ...draft }: SessionDraft,
): Promise<OpenedSession> {
  const token = createToken();
  const livesMs = kind === 'mfa_pending' ? pendingMs : sessionTerms(user.role).absoluteMs;
  const expiresAt = draft.expiresAt ?? new Date(now.getTime() + livesMs);
  await insertSession(tx, {
    userId: user.id,
    tokenSha256: sha256Of(token),
    kind,
    mfaAt: mfaAt ?? null,
    ip,
    userAgent: userAgent?.slice(0, 200) ?? null,
    now,
    idleExpiresAt: idleExpiry(user.role, now, expiresAt),
    expiresAt,
  });
  return { token, expiresAt };
}

/** Ends every session of a user but `except` (an id), at once. Answers how many. */
export async function revokeUserSessions(
  tx: Queryable,
  userId: string,
  { now, except }: { now: Date; except?: string | undefined },
): Promise<number> {
  return revokeSessionsOf(tx, { userId, now, except: except ?? null });
}

/** The session of a request that the authorizer has let in. Refuses `no_session` when it came with something else, such as an API token. */
export function currentSession({ authorization }: FastifyRequest): SessionRow {
  const { session } = (authorization ?? {}) as { session?: SessionRow };
  if (!session) throw refuse('no_session');
  return session;
}

/** Where this request comes from. */
export function clientOf(request: FastifyRequest): Client {
  return { ip: request.ip, userAgent: request.headers['user-agent'] };
}

/** Hands the token of a session to the browser. */
export function setSessionCookie(
  request: FastifyRequest,
  reply: FastifyReply,
  { token, expiresAt }: OpenedSession,
): void {
  reply.header('set-cookie', writeCookie(sessionCookie(request), token, expiresAt));
}

/** Takes it away. */
export function clearSessionCookie(request: FastifyRequest, reply: FastifyReply): void {
  setSessionCookie(request, reply, { token: '', expiresAt: new Date(0) });
}
