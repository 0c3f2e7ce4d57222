import type { SeedProgress } from './seed-world.ts';

const tellEveryMs = 2_000;

/** Says how far a backfill is every two seconds, so that a small one says nothing. `now` in ms. */
export function openSeedProgress(say: (line: string) => void, now: () => number): (progress: SeedProgress) => void {
  let toldAt = now();
  return ({ share, rows }) => {
    if (now() - toldAt < tellEveryMs) return;
    toldAt = now();
    say(`${Math.floor(share * 100)} % of the leads, ${rows.toLocaleString('en-US')} rows`);
  };
}
