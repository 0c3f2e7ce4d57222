import { describe, expect, it } from 'vitest';
import { decisiveAnchors, readAnchors } from './anchor-line.ts';

const line = (n: number, hash = 'a', breaks?: number) =>
  JSON.stringify({ n, seq: n, hash: hash.repeat(64), at: '2026-01-31T12:00:00.000Z', database: '7', breaks });
const most = (count: number, ...lines: string[]) =>
  decisiveAnchors(readAnchors(lines.join('\n')), count).map(({ n, hash }) => `${n}${hash[0]}`);

describe('anchors', () => {
  it('leave out what is no anchor, such as half a line', () => {
    expect(
      readAnchors(`${line(1)}\nnothing\n{"n":0}\n\n${line(2)}\n${line(3).slice(0, 40)}`).map(({ n }) => n),
    ).toEqual([1, 2]);
  });

  it('are as good as their last one while the chain grows', () => {
    expect(most(1, line(1), line(5), line(5), line(9))).toEqual(['9a']);
  });

  it('count on both sides of a fall, and of another hash at the same place', () => {
    const lines = [line(1), line(9), line(4), line(6), line(6, 'b'), line(20)];
    expect(most(3, ...lines)).toEqual(['9a', '6a', '20a']);
    expect(most(3)).toEqual([]);
  });

  it('count before a line that says it breaks with them, although the numbers rise', () => {
    expect(most(2, line(1), line(9), line(20, 'b', 9), line(30, 'b'))).toEqual(['9a', '30b']);
  });

  it('fill what room is left with the newest', () => {
    expect(most(3, line(1), line(9), line(4), line(6), line(8))).toEqual(['9a', '6a', '8a']);
    expect(most(9, line(1), line(9))).toEqual(['1a', '9a']);
  });
});
