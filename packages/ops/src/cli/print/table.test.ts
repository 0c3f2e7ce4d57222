import { describe, expect, it } from 'vitest';
import { displayWidth, truncate } from './display-width.ts';
import { type Column, renderTable } from './table.ts';

interface Row {
  readonly id: string;
  readonly queue: string;
  readonly error: string;
  readonly tries: number;
}

const columns: Column<Row>[] = [
  { title: 'id', of: ({ id }) => id },
  { title: 'queue', of: ({ queue }) => queue, least: 6, leave: 1 },
  { title: 'error', of: ({ error }) => error, least: 10 },
  { title: 'tries', of: ({ tries }) => String(tries), align: 'right', leave: 2 },
];

const row = { id: '3f2a9c1d', queue: 'email_send', error: 'SMTP timeout', tries: 8 };

const lines = (rows: readonly Row[], width: number) =>
  renderTable(columns, rows, width).map((pieces) => pieces.map(({ text }) => text).join(''));

describe('a table', () => {
  it('has its columns in line, numbers to the right', () => {
    expect(lines([row, { ...row, queue: 'scheduler', tries: 12 }], 80)).toEqual([
      'id        queue       error         tries',
      '3f2a9c1d  email_send  SMTP timeout      8',
      '3f2a9c1d  scheduler   SMTP timeout     12',
    ]);
  });

  it('cuts the widest text that may be cut, and says so', () => {
    const [, first] = lines([{ ...row, error: 'x'.repeat(200) }], 80);
    expect(displayWidth(first ?? '')).toBe(80);
    expect(first).toMatch(/^3f2a9c1d {2}email_send {2}x+… {6}8$/);
  });

  it('leaves out what matters least where there is no room', () => {
    expect(lines([row], 30)).toEqual(['id        queue     error', '3f2a9c1d  email_s…  SMTP time…']);
    expect(lines([row], 24)).toEqual(['id        error', '3f2a9c1d  SMTP timeout']);
  });

  it('never exceeds its width, whatever comes', () => {
    const long = { id: '3f2a9c1d', queue: '東京'.repeat(30), error: '👩‍👧'.repeat(50), tries: 1 };
    for (const width of [40, 60, 80, 120]) {
      for (const line of lines([long, row], width)) expect(displayWidth(line)).toBeLessThanOrEqual(width);
    }
  });

  it('writes out what could drive the terminal', () => {
    expect(lines([{ ...row, error: 'a\u001b[31m\nb' }], 80)[1]).toBe('3f2a9c1d  email_send  a\\x1b[31m\\nb      8');
  });
});

describe('the width of a text', () => {
  it.each([
    ['abc', 3],
    ['東京', 4],
    ['👩‍👧', 2],
    ['e\u0301', 1],
    ['ｱ', 1],
    ['', 0],
  ])('of %s is %i', (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });

  it('bounds a cut one', () => {
    expect(truncate('東京都庁', 5)).toBe('東京…');
    expect(truncate('abc', 3)).toBe('abc');
  });
});
