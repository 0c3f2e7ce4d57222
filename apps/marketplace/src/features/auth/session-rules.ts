const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** How long a session lives unused, and at all, in ms. Staff sit closer to the money. */
export function sessionTerms(role: string): { idleMs: number; absoluteMs: number } {
  return role === 'provider' ? { idleMs: 12 * hour, absoluteMs: 7 * day } : { idleMs: hour, absoluteMs: 12 * hour };
}

/** How long the password alone counts for who has a second factor to show, in ms. */
export const pendingMs = 5 * minute;

/** A use is written down at most this often, in ms, so that reads stay reads. */
export const seenEveryMs = minute;

/** A session as far as its validity goes. */
export interface SessionLife {
  role: string;
  userStatus: string;
  lastSeenAt: Date;
  idleExpiresAt: Date;
  expiresAt: Date;
  revokedAt: Date | null;
}

/** `live`; `seen` when it lives and its use is due to be written down; `ended`; `unknown` when it never was, for its owner's sake. */
export function judgeSession(session: SessionLife, now: Date): 'live' | 'seen' | 'ended' | 'unknown' {
  if (session.userStatus !== 'active') return 'unknown';
  if (session.revokedAt || session.expiresAt <= now || session.idleExpiresAt <= now) return 'ended';
  return now.getTime() - session.lastSeenAt.getTime() >= seenEveryMs ? 'seen' : 'live';
}

/** When a session used now ends if it is not used again; never later than its absolute end. */
export function idleExpiry(role: string, now: Date, expiresAt: Date): Date {
  return new Date(Math.min(now.getTime() + sessionTerms(role).idleMs, expiresAt.getTime()));
}
