import { describe, expect, it } from 'vitest';
import { openKeys } from '../../keys.ts';
import { mailedToken, readMailedToken } from './mailed-token.ts';

const old = '0a'.repeat(32);
const keys = openKeys({ tokenKey: '5e'.repeat(32), previousTokenKey: old });
const id = '0198c0de-0000-7000-8000-000000000001';

describe('the token of a mailed link', () => {
  const token = mailedToken(keys, id, 'reset_password');

  it('stands for its id, for its purpose only', () => {
    expect(token).toMatch(/^[\w-]{64}$/);
    expect(readMailedToken(keys, token, 'reset_password')).toBe(id);
    expect(readMailedToken(keys, token, 'verify_email')).toBeUndefined();
  });

  it('of the key before the last change still counts, of another key never', () => {
    const byOld = mailedToken(openKeys({ tokenKey: old }), id, 'verify_email');
    const byOther = mailedToken(openKeys({ tokenKey: '77'.repeat(32) }), id, 'verify_email');
    expect(readMailedToken(keys, byOld, 'verify_email')).toBe(id);
    expect(readMailedToken(keys, byOther, 'verify_email')).toBeUndefined();
  });

  it('is refused when any character of it is changed, lost or added', () => {
    for (let at = 0; at < token.length; at += 1) {
      const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
      expect(readMailedToken(keys, changed, 'reset_password')).toBeUndefined();
    }
    for (const text of ['', token.slice(1), token.slice(0, -1), `${token}A`, `${token}=`, 'x'.repeat(64), '\u0000']) {
      expect(readMailedToken(keys, text, 'reset_password')).toBeUndefined();
    }
  });
});
