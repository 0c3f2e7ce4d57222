import { describe, expect, it } from 'vitest';
import { isDisposable, normalisePhone, storableIp } from './contact.ts';

describe('a phone number', () => {
  it.each([
    ['(415) 555-0123', '+14155550123'],
    ['+1 415 555 0123', '+14155550123'],
    ['+44 20 7946 0958', '+442079460958'],
  ])('%s is stored as %s', (typed, stored) => expect(normalisePhone(typed)).toBe(stored));

  it.each(['123', 'call me', '-415', '+999999999999999', '415 555 0123 ext 7', '911'])(
    'is not read from %j',
    (typed) => {
      expect(normalisePhone(typed)).toBeUndefined();
    },
  );
});

describe('an address', () => {
  it('is known as disposable by its domain alone', () => {
    expect(isDisposable('x@mailinator.com')).toBe(true);
    expect(isDisposable('mailinator.com@example.com')).toBe(false);
  });

  it('of the network loses its zone', () => {
    expect(['203.0.113.9', 'fe80::1%eth0'].map(storableIp)).toEqual(['203.0.113.9', 'fe80::1']);
  });
});
