import { describe, expect, it } from 'vitest';
import { idleExpiry, judgeSession, sessionTerms } from './session-rules.ts';

const now = new Date('2026-05-01T12:00:00Z');
const at = (minutes: number) => new Date(now.getTime() + minutes * 60_000);
const life = {
  role: 'provider',
  userStatus: 'active',
  lastSeenAt: at(-0.5),
  idleExpiresAt: at(60),
  expiresAt: at(600),
  revokedAt: null,
};

describe('a session', () => {
  it('lives 12 hours unused and 7 days at all for a provider, 1 and 12 hours for staff', () => {
    expect(sessionTerms('provider')).toEqual({ idleMs: 43_200_000, absoluteMs: 604_800_000 });
    for (const role of ['admin', 'finance', 'anything']) {
      expect(sessionTerms(role)).toEqual({ idleMs: 3_600_000, absoluteMs: 43_200_000 });
    }
  });

  it('is written down as seen once a minute', () => {
    expect(judgeSession(life, now)).toBe('live');
    expect(judgeSession({ ...life, lastSeenAt: at(-1) }, now)).toBe('seen');
  });

  it('ends when it is revoked, unused too long or too old', () => {
    expect(judgeSession({ ...life, revokedAt: at(-1) }, now)).toBe('ended');
    expect(judgeSession({ ...life, idleExpiresAt: now }, now)).toBe('ended');
    expect(judgeSession({ ...life, expiresAt: now }, now)).toBe('ended');
  });

  it('is unknown once its user is disabled', () => {
    expect(judgeSession({ ...life, userStatus: 'disabled' }, now)).toBe('unknown');
  });

  it('is never prolonged past its absolute end', () => {
    expect(idleExpiry('admin', now, at(600))).toEqual(at(60));
    expect(idleExpiry('admin', now, at(5))).toEqual(at(5));
  });
});
