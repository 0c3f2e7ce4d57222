import { describe, expect, it } from 'vitest';
import { readCookie, sessionCookie, writeCookie } from './session-cookie.ts';

describe('the cookie', () => {
  it.each(['localhost', '127.0.0.1', '[::1]', 'fmhl.localhost'])('is plain on http %s', (hostname) => {
    expect(sessionCookie({ protocol: 'http', hostname })).toEqual({ name: 'fmhl_session', secure: false });
  });

  it.each([
    ['https', 'localhost'],
    ['http', 'leads.example.com'],
    ['http', 'localhost.example.com'],
    ['http', '127.0.0.1.example.com'],
  ])('is bound to its host on %s %s', (protocol, hostname) => {
    expect(sessionCookie({ protocol, hostname })).toEqual({ name: '__Host-fmhl_session', secure: true });
  });

  it('is bound to its host where people come over TLS, whatever host the request names', () => {
    const request = { protocol: 'http', hostname: 'localhost', server: { reachedOverTls: true } };
    expect(sessionCookie(request)).toEqual({ name: '__Host-fmhl_session', secure: true });
  });

  it('is out of reach of scripts and of other sites', () => {
    const expires = new Date('2026-05-01T12:00:00Z');
    expect(writeCookie({ name: 'fmhl_session', secure: false }, 'abc', expires)).toBe(
      'fmhl_session=abc; Path=/; Expires=Fri, 01 May 2026 12:00:00 GMT; HttpOnly; SameSite=Lax',
    );
    expect(writeCookie({ name: '__Host-fmhl_session', secure: true }, 'abc', expires)).toContain('; Secure; ');
  });

  it('is read among others', () => {
    const cookie = { name: 'fmhl_session', secure: false };
    expect(readCookie(cookie, 'theme=dark; fmhl_session=abc;x=1')).toBe('abc');
    expect(readCookie(cookie, '__Host-fmhl_session=abc; xfmhl_session=def')).toBeUndefined();
    expect(readCookie(cookie, undefined)).toBeUndefined();
  });
});
