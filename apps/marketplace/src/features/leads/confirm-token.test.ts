import { describe, expect, it } from 'vitest';
import { openKeys } from '../../keys.ts';
import { confirmToken, readConfirmToken } from './confirm-token.ts';

const keyOf = (byte: string) => openKeys({ tokenKey: byte.repeat(32) });
const key = keyOf('0f');
const claim = { leadId: '0198c0de-0000-7000-8000-0000000000ff', nonce: 3 };

describe('a confirmation token', () => {
  it('stands for a lead and one of its links', () => {
    expect(readConfirmToken(key, confirmToken(key, claim))).toEqual(claim);
  });

  it('fits a link without escaping', () => {
    expect(confirmToken(key, claim)).toMatch(/^[A-Za-z0-9_-]{66}$/);
  });

  it('is nothing under another key', () => {
    expect(readConfirmToken(keyOf('0e'), confirmToken(key, claim))).toBeUndefined();
  });

  it('is nothing when any byte of it is changed', () => {
    const bytes = Buffer.from(confirmToken(key, claim), 'base64url');
    for (let at = 0; at < bytes.length; at += 1) {
      const forged = Buffer.from(bytes);
      forged.writeUInt8(forged.readUInt8(at) ^ 1, at);
      expect(readConfirmToken(key, forged.toString('base64url'))).toBeUndefined();
    }
  });

  it.each(['', 'x', '\u0000', '..', 'A'.repeat(66), 'A'.repeat(5000)])('is not read from %j', (text) => {
    expect(readConfirmToken(key, text)).toBeUndefined();
  });

  it('mailed before a change of keys is good after it', () => {
    const rotated = openKeys({ tokenKey: '0e'.repeat(32), previousTokenKey: '0f'.repeat(32) });
    expect(readConfirmToken(rotated, confirmToken(key, claim))).toEqual(claim);
  });

  it('is the same text in every version of the product', () => {
    expect(confirmToken(key, claim)).toBe('AZjA3gAAcACAAAAAAAAA_wMIudqdN_1dK41vXjoH9Cy7duNW75zqcJ2gY3rkboDprA');
  });

  it('has one spelling', () => {
    const token = confirmToken(key, claim);
    expect(readConfirmToken(key, `${token}=`)).toBeUndefined();
    expect(readConfirmToken(key, `${token} `)).toBeUndefined();
  });
});
