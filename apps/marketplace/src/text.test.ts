import { describe, expect, it } from 'vitest';
import { cleanLine, cleanText } from './text.ts';

describe('clean text', () => {
  it('is trimmed before it is measured', () => {
    expect(cleanText(1, 3).parse('  abc  ')).toBe('abc');
    expect(cleanText(1, 3).safeParse('   ').success).toBe(false);
    expect(cleanText(1, 3).safeParse('abcd').success).toBe(false);
  });

  it('refuses what Postgres cannot store', () => {
    expect(cleanText(1, 9).safeParse('a\u0000b').success).toBe(false);
    expect(cleanText(1, 9).safeParse('a\ud800b').success).toBe(false);
    expect(cleanText(1, 9).parse('a\nb 🏠')).toBe('a\nb 🏠');
  });

  it('on one line refuses every control character', () => {
    for (const text of ['a\nb', 'a\rb', 'a\tb', 'a\u007fb', 'a\u0000b'])
      expect(cleanLine(1, 9).safeParse(text).success).toBe(false);
    expect(cleanLine(1, 9).parse(' Zoë 🏠 ')).toBe('Zoë 🏠');
  });
});
