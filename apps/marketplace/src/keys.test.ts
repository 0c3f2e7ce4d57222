import { describe, expect, it } from 'vitest';
import { openKeys } from './keys.ts';

const oldKey = 'a1'.repeat(32);
const newKey = 'b2'.repeat(32);
const old = openKeys({ tokenKey: oldKey });
const rotated = openKeys({ tokenKey: newKey, previousTokenKey: oldKey });
const later = openKeys({ tokenKey: newKey });

describe('a signature', () => {
  it('holds for its text, its purpose and its key alone', () => {
    const signature = old.sign('invitation', 'to Ann');
    expect(signature).toMatch(/^[\w-]{43}$/);
    expect(old.isSigned('invitation', 'to Ann', signature)).toBe(true);
    expect(old.isSigned('invitation', 'to Bob', signature)).toBe(false);
    expect(old.isSigned('reset', 'to Ann', signature)).toBe(false);
    expect(later.isSigned('invitation', 'to Ann', signature)).toBe(false);
  });

  it.each(['', 'x', '!', 'A'.repeat(10_000)])('that is %.10j does not hold', (signature) => {
    expect(old.isSigned('invitation', 'to Ann', signature)).toBe(false);
  });

  it('of the previous key holds until that is taken away, and new ones are of the current key', () => {
    const signature = old.sign('invitation', 'to Ann');
    expect(rotated.isSigned('invitation', 'to Ann', signature)).toBe(true);
    expect(later.isSigned('invitation', 'to Ann', rotated.sign('invitation', 'to Ann'))).toBe(true);
  });

  it('cannot be had by joining a purpose and a text elsewhere', () => {
    expect(() => old.sign('invitation\0to', 'Ann')).toThrow('purpose');
    expect(() => old.derive('key-id')).toThrow('purpose');
  });
});

describe('a seal', () => {
  it('opens for its purpose, and is another each time', () => {
    const sealed = old.seal('totp', 'JBSWY3DP');
    expect(sealed).toMatch(/^[\w.-]+$/);
    expect(sealed).not.toBe(old.seal('totp', 'JBSWY3DP'));
    expect(old.open('totp', sealed)).toBe('JBSWY3DP');
    expect(old.open('totp', old.seal('totp', ''))).toBe('');
    expect(() => old.open('mail', sealed)).toThrow();
  });

  it('breaks when anything of it is changed', () => {
    const sealed = old.seal('totp', 'JBSWY3DP');
    const [id = '', body = ''] = sealed.split('.');
    const bytes = Buffer.from(body, 'base64url');
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => old.open('totp', `${id}.${changed.toString('base64url')}`)).toThrow();
    }
    for (const broken of ['', '.', id, `${id}.`, `${id}.${body.slice(0, 10)}`, `00000000.${body}`])
      expect(() => old.open('totp', broken)).toThrow();
  });

  it('of the previous key opens, and says that it wants to be sealed anew', () => {
    const sealed = old.seal('totp', 'JBSWY3DP');
    expect(rotated.open('totp', sealed)).toBe('JBSWY3DP');
    expect([rotated.isOutdated(sealed), rotated.isOutdated(rotated.seal('totp', 'x'))]).toEqual([true, false]);
    expect(() => later.open('totp', sealed)).toThrow('TOKEN_KEY_PREVIOUS');
  });
});

describe('derived keys', () => {
  it('come current first, each with a name of its own', () => {
    const [current, previous] = rotated.derive('audit');
    expect(current).toEqual(later.derive('audit')[0]);
    expect(previous).toEqual(old.derive('audit')[0]);
    expect(current?.key).toHaveLength(32);
    expect(current?.id).not.toBe(previous?.id);
    expect(rotated.derive('mail')[0]?.key).not.toEqual(current?.key);
  });

  it('are not to be had without a key, where a command works without one', () => {
    const none = openKeys({ tokenKey: '' });
    expect(() => none.derive('audit')).toThrow('TOKEN_KEY');
    expect(() => none.sign('audit', 'x')).toThrow('TOKEN_KEY');
    expect(none.isSigned('audit', 'x', old.sign('audit', 'x'))).toBe(false);
  });
});
