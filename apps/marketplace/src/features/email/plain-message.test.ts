import PostalMime from 'postal-mime';
import { describe, expect, it } from 'vitest';
import { plainMessage } from './plain-message.ts';

const mail = {
  from: 'Find Me a Hot Lead <no-reply@fmhl.example.com>',
  to: 'person@example.com',
  messageId: '<1@fmhl.example.com>',
  subject: 'New lead: Roofing (Select)',
  text: 'One line.\n\n.dots and = signs\n-- \nFind Me a Hot Lead\n',
  html: '<!doctype html>\n<p>One line &amp; more.</p>\n',
};

describe('a mail of plain ASCII', () => {
  it('reads in a mail program as it was written', async () => {
    const message = plainMessage(mail);
    expect(message?.envelope).toEqual({ from: 'no-reply@fmhl.example.com', to: ['person@example.com'] });
    const read = await PostalMime.parse(message?.raw ?? '');
    expect(read).toMatchObject({
      from: { name: 'Find Me a Hot Lead', address: 'no-reply@fmhl.example.com' },
      to: [{ address: 'person@example.com' }],
      messageId: mail.messageId,
      subject: mail.subject,
    });
    expect(read.text?.trimEnd()).toBe(mail.text.trimEnd());
    expect(read.html?.trimEnd()).toBe(mail.html.trimEnd());
    expect(read.headers).toContainEqual(expect.objectContaining({ key: 'auto-submitted', value: 'auto-generated' }));
    expect(Math.abs(Date.parse(read.date ?? '') - Date.now())).toBeLessThan(60_000);
  });

  it('ends every line as mail does, and its sender may be an address alone', () => {
    const message = plainMessage({ ...mail, from: 'no-reply@fmhl.example.com' });
    expect(message?.raw).not.toMatch(/[^\r]\n/);
    expect(message?.envelope.from).toBe('no-reply@fmhl.example.com');
  });
});

describe('a mail that is not plain', () => {
  it.each([
    ['a letter outside of ASCII', { subject: 'Dächer' }],
    ['a text outside of ASCII', { text: 'Zoë' }],
    ['a subject of two lines', { subject: 'a\nBcc: x@example.com' }],
    ['a carriage return', { subject: 'a\rb' }],
    ['a sender to be quoted', { from: '"Find, Me" <no-reply@fmhl.example.com>' }],
    ['two recipients', { to: 'one@example.com, two@example.com' }],
    ['a recipient outside of ASCII', { to: 'zoë@example.com' }],
    ['a line longer than mail allows', { html: 'a'.repeat(999) }],
  ])('for %s is left to the library', (_why, change) => {
    expect(plainMessage({ ...mail, ...change })).toBeUndefined();
  });
});
