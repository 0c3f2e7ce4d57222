import { describe, expect, it } from 'vitest';
import { signatureHolds, signWebhook } from './signature.ts';

const secret = 'a secret of the gateway';
const body = Buffer.from('{"amount_cents":5000}');
const now = new Date('2026-01-05T10:30:00Z');
const later = (seconds: number) => new Date(now.getTime() + seconds * 1000);

describe('the signature of a payment webhook', () => {
  it('holds for the very body it was made of, five minutes to either side', () => {
    const header = signWebhook(body, secret, now);
    for (const seconds of [-300, 0, 300]) expect(signatureHolds(header, body, [secret], later(seconds))).toBe(true);
  });

  it('holds for the secret before the present one, while that is named', () => {
    const header = signWebhook(body, secret, now);
    expect(signatureHolds(header, body, ['the next one', secret], now)).toBe(true);
    expect(signatureHolds(header, body, ['the next one'], now)).toBe(false);
    expect(signatureHolds(header, body, [], now)).toBe(false);
  });

  it.each([
    ['too old', signWebhook(body, secret, now), body, secret, 301],
    ['from the future', signWebhook(body, secret, now), body, secret, -301],
    ['of another body', signWebhook('{"amount_cents":9000}', secret, now), body, secret, 0],
    ['of another secret', signWebhook(body, 'guessed', now), body, secret, 0],
    ['of another time', signWebhook(body, secret, now).replace(/^t=\d+/, 't=1767609001'), body, secret, 0],
    ['missing', undefined, body, secret, 0],
    ['empty', '', body, secret, 0],
    ['sent twice', [signWebhook(body, secret, now)], body, secret, 0],
    ['cut short', signWebhook(body, secret, now).slice(0, -2), body, secret, 0],
    ['not hexadecimal', `t=${now.getTime() / 1000},v1=${'z'.repeat(64)}`, body, secret, 0],
    ['without a time', `v1=${'0'.repeat(64)}`, body, secret, 0],
  ])('does not hold when it is %s', (_case, header, of, key, seconds) => {
    expect(signatureHolds(header, of, [key], later(seconds))).toBe(false);
  });
});
