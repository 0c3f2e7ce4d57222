import { describe, expect, it } from 'vitest';
import { confirmToken, readConfirmToken } from './confirm-token.ts';

const key = '0f'.repeat(32);
const claim = { leadId: '0198c0de-0000-7000-8000-0000000000ff', nonce: 3 };

describe('a confirmation token', () => {
  it('stands for a lead and one of its links', () => {
    expect(readConfirmToken(key, confirmToken(key, claim))).toEqual(claim);
  });

  it('fits a link without escaping', () => {
    expect(confirmToken(key, claim)).toMatch(/^[A-Za-z0-9_-]{66}$/);
  });

  it('is nothing under another key', () => {
    expect(readConfirmToken('0e'.repeat(32), confirmToken(key, claim))).toBeUndefined();
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

  it('has one spelling', () => {
    const token = confirmToken(key, claim);
    expect(readConfirmToken(key, `${token}=`)).toBeUndefined();
    expect(readConfirmToken(key, `${token} `)).toBeUndefined();
  });
});
