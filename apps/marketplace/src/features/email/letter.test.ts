import { describe, expect, it } from 'vitest';
import { counted, dollars, renderLetter, UnwritableMail } from './letter.ts';

describe('a letter', () => {
  it('escapes every word in its HTML and none in its subject and text', () => {
    const hostile = `<b>"Tom" & 'Co'</b>`;
    const { subject, text, html } = renderLetter({
      subject: hostile,
      paragraphs: [hostile],
      link: { label: hostile, url: 'https://fmhl.example.com/a?b=1&c="2"' },
    });
    expect(subject).toBe(hostile);
    expect(text).toContain(hostile);
    expect(html).not.toContain('<b>');
    expect(html.match(/&lt;b&gt;&quot;Tom&quot; &amp; &#39;Co&#39;&lt;\/b&gt;/g)).toHaveLength(3);
    expect(html).toContain('href="https://fmhl.example.com/a?b=1&amp;c=&quot;2&quot;"');
  });

  it.each(['\r\nBcc: all@example.com', '\n', '\r', '\u0000'])('is not written when its subject holds %j', (text) => {
    expect(() => renderLetter({ subject: `Hello${text}`, paragraphs: [] })).toThrow(UnwritableMail);
  });
});

describe('money in a letter', () => {
  it.each([
    [0, '$0.00'],
    [5, '$0.05'],
    [123_456_789, '$1,234,567.89'],
    [-1500, '-$15.00'],
  ])('%i cents reads %s', (cents, text) => expect(dollars(cents)).toBe(text));

  it('is counted in words that agree', () => {
    expect([counted(1, 'subscription'), counted(2, 'subscription')]).toEqual(['1 subscription', '2 subscriptions']);
  });
});
