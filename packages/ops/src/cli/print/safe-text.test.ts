import { describe, expect, it } from 'vitest';
import { safeBlock, safeJson, safeLine } from './safe-text.ts';

const clear = '\u001b[2J\u001b]0;owned\u0007';

describe('a text from a payload', () => {
  it('cannot move the cursor, set a title or ring', () => {
    expect(safeLine(clear)).toBe('\\x1b[2J\\x1b]0;owned\\x07');
    expect(safeLine('a\u009b31mb')).toBe('a\\x9b31mb');
    expect(safeLine('a\rb\nc\td\u007f')).toBe('a\\rb\\nc\\td\\x7f');
  });

  it('cannot turn the direction of what follows, or break a line by other means', () => {
    expect(safeLine('user\u202egnp.exe\u2066\u2028\u200e')).toBe('user\\u202egnp.exe\\u2066\\u2028\\u200e');
  });

  it('keeps what people write', () => {
    const text = 'naïve – Zürich 東京 👩‍👧 “quoted” \\n';
    expect(safeLine(text)).toBe(text);
  });

  it('shows half a surrogate pair', () => {
    expect(safeLine('a\ud800b')).toBe('a\\ud800b');
  });

  it('keeps its lines in a block, and nothing else', () => {
    expect(safeBlock('Error: x\n\tat y\r\n\u001b[31mz')).toBe('Error: x\n  at y\n\\x1b[31mz');
  });

  it('is equal JSON, and harmless', () => {
    const value = { text: `${clear}\u009b\u202e\u{e0001}`, list: ['\u0000'] };
    const printed = safeJson(value, 2);
    expect(JSON.parse(printed)).toEqual(value);
    expect(printed).not.toMatch(/\p{Cf}|[^\P{Cc}\n]/u);
  });
});
