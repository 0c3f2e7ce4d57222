import { describe, expect, it } from 'vitest';
import type { Mail } from '../../embedded/index.ts';
import { openLetterBox } from './letter-box.ts';

function mailTo(to: string, token: string): Mail {
  const text = `Click: https://leads.example.com/confirm#token=${token}\nRemove: https://leads.example.com/erase#token=no`;
  return { id: '1', to, from: '', subject: '', text, html: '', messageId: '', receivedAt: '' };
}

describe('the letter box', () => {
  it('gives the token of a mail that came before it was asked for, once', async () => {
    const letters = openLetterBox();
    letters.take(mailTo('a@example.com', 'early'));
    expect(await letters.tokenFor('a@example.com')).toBe('early');
    await expect(letters.tokenFor('a@example.com', 20)).rejects.toThrow('no mail with a link came within 20 ms');
  });

  it('gives each of two who wait at one address a mail of their own', async () => {
    const letters = openLetterBox();
    const waiting = [letters.tokenFor('a@example.com'), letters.tokenFor('a@example.com')];
    letters.take(mailTo('b@example.com', 'other'));
    letters.take(mailTo('a@example.com', 'one'));
    await waiting[0];
    letters.take(mailTo('a@example.com', 'two'));
    expect(await Promise.all(waiting)).toEqual(['one', 'two']);
  });

  it('leaves mails without such a link alone', async () => {
    const letters = openLetterBox();
    letters.take({ ...mailTo('a@example.com', ''), text: 'Your money has come' });
    await expect(letters.tokenFor('a@example.com', 20)).rejects.toThrow('no mail');
  });
});
