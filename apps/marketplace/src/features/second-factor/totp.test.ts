import { describe, expect, it } from 'vitest';
import { createTotpSecret, otpauthUrl, totpCode, totpStep } from './totp.ts';

/** The secret of RFC 6238, appendix B, and the last six digits of its codes. */
const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
const vectors = [
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_111_111_111, '050471'],
  [1_234_567_890, '005924'],
  [2_000_000_000, '279037'],
] as const;
const at = (seconds: number) => new Date(seconds * 1000);

describe('a code', () => {
  it.each(vectors)('at second %i is that of RFC 6238', (seconds, code) => {
    expect(totpCode(secret, at(seconds))).toBe(code);
    expect(totpStep(secret, code, at(seconds))).toBe(Math.floor(seconds / 30));
  });

  it('is of its own step in the step before and after, and of none beyond', () => {
    const code = totpCode(secret, at(3_000));
    expect([-31, -30, -1, 0, 29, 30, 59, 60].map((off) => totpStep(secret, code, at(3_000 + off)))).toEqual([
      undefined,
      100,
      100,
      100,
      100,
      100,
      100,
      undefined,
    ]);
  });

  it.each(['', '28708', '2870820', '28708a', '２８７０８２', ' 287082'])('is not %j', (text) => {
    expect(totpStep(secret, text, at(59))).toBeUndefined();
  });
});

describe('a secret', () => {
  it('is 160 bits, another each time', () => {
    const secrets = new Set(Array.from({ length: 50 }, createTotpSecret));
    expect(secrets.size).toBe(50);
    for (const one of secrets) expect(one).toMatch(/^[A-Z2-7]{32}$/);
  });

  it('is told to apps under the name of the product and of its owner', () => {
    const url = new URL(otpauthUrl(secret, 'ada+test@example.com'));
    expect([url.protocol, url.host, decodeURIComponent(url.pathname)]).toEqual([
      'otpauth:',
      'totp',
      '/Find Me a Hot Lead:ada+test@example.com',
    ]);
    expect(url.searchParams.get('secret')).toBe(secret);
  });
});
