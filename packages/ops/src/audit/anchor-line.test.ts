import { describe, expect, it } from 'vitest';
import { decisiveAnchors, readAnchors } from './anchor-line.ts';

const line = (n: number, hash = 'a') =>
  JSON.stringify({ n, seq: n, hash: hash.repeat(64), at: '2026-01-31T12:00:00.000Z', database: '7' });
const decisive = (...lines: string[]) =>
  decisiveAnchors(readAnchors(lines.join('\n'))).map(({ n, hash }) => `${n}${hash[0]}`);

describe('anchors', () => {
  it('leave out what is no anchor, such as half a line', () => {
    expect(
      readAnchors(`${line(1)}\nnothing\n{"n":0}\n\n${line(2)}\n${line(3).slice(0, 40)}`).map(({ n }) => n),
    ).toEqual([1, 2]);
  });

  it('are as good as their last one while the chain grows', () => {
    expect(decisive(line(1), line(5), line(5), line(9))).toEqual(['9a']);
  });

  it('count on both sides of a fall, and of another hash at the same place', () => {
    expect(decisive(line(1), line(9), line(4), line(6), line(6, 'b'), line(20))).toEqual(['9a', '6a', '20a']);
    expect(decisive()).toEqual([]);
  });
});
