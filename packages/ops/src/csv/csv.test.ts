import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csvLine, csvText, isFormula } from './csv.ts';

/** Reads one file of CSV, letter by letter, as RFC 4180 has it. */
function parse(text: string): string[][] {
  const rows: string[][] = [[]];
  let cell = '';
  let isQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at];
    if (isQuoted) {
      if (letter !== '"') cell += letter;
      else if (text[at + 1] === '"') cell += text[(at += 1)];
      else isQuoted = false;
    } else if (letter === '"' && cell === '') isQuoted = true;
    else if (letter === ',' || (letter === '\r' && text[at + 1] === '\n')) {
      rows.at(-1)?.push(cell);
      cell = '';
      if (letter === '\r') {
        rows.push([]);
        at += 1;
      }
    } else cell += letter;
  }
  return rows.slice(0, -1);
}

/** What was written, from what is read: an apostrophe that stands before a formula is ours. */
const withoutApostrophe = (cell: string) =>
  (isFormula(cell) ? cell.slice(1) : cell).replaceAll(
    /(?<=[;,\t\r\n])'(?=(?:(?![\t\r\n])['"\s\p{C}])*[=+\-@|＝＋－−＠｜﹢﹣﹦﹫⁺⁼₊₌﬩⩵⩶])/gu,
    '',
  );

/** The cells of a line, for a program that separates them by another sign: of quotes that begin a cell the first opens it, and two are one. */
function cellsBetween(separator: string, line: string): string[] {
  return line
    .split(new RegExp(`[${separator}\r\n]`))
    .map((cell) => cell.replace(/^"+/, (quotes) => '"'.repeat((quotes.length - 1) >> 1)));
}

/** Texts with what breaks files and starts formulas in many places. */
const hostile = fc.string({
  unit: fc.constantFrom(...Array.from('=+-@|\'",;\t\r\n 7aé\u00a0\u3000\ufeff\u200b＝＋－＠')),
  maxLength: 12,
});
const texts = fc.array(fc.oneof(hostile, fc.string({ unit: 'grapheme' })), { minLength: 1, maxLength: 6 });

describe('a line of CSV', () => {
  it.each([
    [['plain', 7, true, null, undefined], 'plain,7,true,,'],
    [['a,b', 'say "hi"', 'two\nlines'], '"a,b","say ""hi""","two\nlines"'],
    [['=1+1', '+1', '-1', '@x', '\tx', ' =cmd'], "'=1+1,'+1,'-1,'@x,'\tx,' =cmd"],
    [['\r=1', '\u3000＝1', '＋1', '－1', '＠x', '\u200b=1'], "\"'\r'=1\",'\u3000＝1,'＋1,'－1,'＠x,'\u200b=1"],
    [['a;=1', 'a\t@x', 'a,-1', 'a; +1', 'a\n|x', 'a;"=1'], `a;'=1,a\t'@x,"a,'-1",a;' +1,"a\n'|x","a;'""=1"`],
    [['a;1', 'a=;b', "a;'=1"], `a;1,a=;b,a;''=1`],
    [["'tis", "'=1", 'a=1', '1-1'], "'tis,''=1,a=1,1-1"],
    [[-1, new Date(0)], '-1,1970-01-01T00:00:00.000Z'],
  ])('of %j', (cells, line) => {
    expect(csvLine(cells)).toBe(`${line}\r\n`);
  });

  it.each([
    ['a', '"a"'],
    ['', '""'],
    ['say "hi"', '"say ""hi"""'],
    ['=x', `"'=x"`],
  ])('of one text that is quoted: %j', (text, cell) => {
    expect(csvText(text)).toBe(cell);
  });

  it.each([';', '\t'])('begins no cell with a formula for who separates by %j, either', (separator) => {
    fc.assert(
      fc.property(texts, fc.boolean(), (row, isQuoted) => {
        const line = isQuoted ? row.map(csvText).join(',') : csvLine(row);
        const shown = cellsBetween(separator, line).map((cell) => cell.normalize('NFKC').trim());
        expect(shown.filter((cell) => /^[=+\-@|]/.test(cell))).toEqual([]);
      }),
    );
  });

  it('reads back as what was written, whatever the texts hold', () => {
    fc.assert(
      fc.property(fc.array(texts, { minLength: 1 }), fc.boolean(), (rows, isQuoted) => {
        const line = isQuoted ? (row: string[]) => `${row.map(csvText).join(',')}\r\n` : csvLine;
        expect(parse(rows.map((row) => line(row)).join('')).map((row) => row.map(withoutApostrophe))).toEqual(rows);
      }),
    );
  });

  it('begins no cell with what a spreadsheet runs, also behind blanks and in full width', () => {
    fc.assert(
      fc.property(texts, (row) => {
        // What a spreadsheet makes of a cell: blanks do not count, and full width is normal width.
        const shown = parse(csvLine(row)).flatMap((cells) => cells.map((cell) => cell.normalize('NFKC').trim()));
        expect(shown.filter((cell) => /^[=+\-@]/.test(cell))).toEqual([]);
      }),
    );
  });
});
