import { expect, it } from 'vitest';
import { csvLine } from './csv.ts';

it.each([
  [['plain', 7, true, null, undefined], 'plain,7,true,,'],
  [['a,b', 'say "hi"', 'two\nlines'], '"a,b","say ""hi""","two\nlines"'],
  [['=1+1', '+1', '-1', '@x', '\tx', ' =cmd'], "'=1+1,'+1,'-1,'@x,'\tx,' =cmd"],
  [[-1, new Date(0)], '-1,1970-01-01T00:00:00.000Z'],
])('a line of %j', (cells, line) => {
  expect(csvLine(cells)).toBe(`${line}\r\n`);
});
