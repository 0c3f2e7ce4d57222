import { describe, expect, it } from 'vitest';
import { judgeSmtpError } from './smtp-verdict.ts';

const answered = (response: string) => ({ code: 'EENVELOPE', responseCode: Number(response.slice(0, 3)), response });

describe('a failed delivery', () => {
  it.each([
    '550 5.1.1 <jane@example.com> unknown',
    '553 5.1.3 bad syntax',
    '550-5.1.1 two\r\n550 5.1.1 lines',
    '556 5.1.10 null MX',
  ])('is the refusal of the mailbox when the server says %j', (response) =>
    expect(judgeSmtpError(answered(response)).kind).toBe('mailbox_refused'),
  );

  it.each([
    '451 4.3.0 later',
    '450 4.1.1 greylisted',
    '421 too many connections',
    '535 5.7.8 authentication failed',
    '550 5.7.1 blocked as spam',
    '550 no enhanced code',
    '553 5.1.8 sender address refused',
    '550 5.1.7 sender syntax',
    '552 5.2.2 mailbox full',
  ])('may pass when the server says %j', (response) =>
    expect(judgeSmtpError(answered(response)).kind).toBe('transient'),
  );

  it('may pass when there was no answer at all', () => {
    const refused = { code: 'ESOCKET', originalCode: 'ECONNREFUSED', message: 'connect ECONNREFUSED' };
    expect(judgeSmtpError(refused)).toEqual({ kind: 'transient', summary: 'ECONNREFUSED' });
    expect(judgeSmtpError({ code: 'ETIMEDOUT' })).toEqual({ kind: 'transient', summary: 'ETIMEDOUT' });
    for (const thrown of [null, undefined, 'text', new Error('jane@example.com'), { code: 'jane@example.com' }]) {
      expect(judgeSmtpError(thrown)).toEqual({ kind: 'transient', summary: 'unknown failure' });
    }
  });

  it('is remembered by its codes alone: what servers write may hold the address', () => {
    expect(judgeSmtpError(answered('550 5.1.1 <jane@example.com> unknown'))).toEqual({
      kind: 'mailbox_refused',
      smtpCode: 550,
      summary: '550 5.1.1',
    });
    expect(judgeSmtpError(answered('451 try later, jane@example.com')).summary).toBe('451');
  });
});
