import { expect, it } from 'vitest';
import { openSeedProgress } from './seed-progress.ts';

it('says how far a backfill is, every two seconds and not before', () => {
  const lines: string[] = [];
  let at = 0;
  const tell = openSeedProgress(
    (line) => lines.push(line),
    () => at,
  );
  for (const [ms, share] of [
    [1_900, 0.1],
    [2_100, 0.123],
    [4_000, 0.2],
    [4_200, 0.999],
  ] as const) {
    at = ms;
    tell({ share, rows: 20_000 + ms });
  }
  expect(lines).toEqual(['12 % of the leads, 22,100 rows', '99 % of the leads, 24,200 rows']);
});
