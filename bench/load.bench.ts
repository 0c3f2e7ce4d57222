/**
 * A product under load: a month of history made in minutes, and 50 leads a second that do not wait for each other.
 *
 * `--quick` makes both small; `--only open-loop` or `--only backfill` runs one of them. The open loop takes five minutes.
 */
import { openStage } from '../proofs/harness/stage.ts';
import { measureBackfill } from './load-backfill.ts';
import { openLoopFigures } from './load-open-loop.ts';
import type { Figure, RunOptions } from './report.ts';

export const about = 'a month of history, and 50 leads a second from the form to the sale';

const parts: Readonly<Record<string, (options: RunOptions) => Promise<Figure[]>>> = {
  'open-loop': ({ quick, firstSeed, say }) =>
    openLoopFigures({ rate: 50, seconds: quick ? 15 : 300, seed: firstSeed, say }),
  backfill,
};

export async function run(options: RunOptions): Promise<Figure[]> {
  const names = options.only.length > 0 ? options.only : Object.keys(parts);
  const figures: Figure[] = [];
  for (const name of names) {
    const part = parts[name];
    if (!part) throw new TypeError(`no part ${name}: one of ${Object.keys(parts).join(', ')}`);
    figures.push(...(await part(options)));
  }
  return figures;
}

async function backfill(options: RunOptions): Promise<Figure[]> {
  const stage = await openStage();
  try {
    return await measureBackfill(await stage.createDatabase('empty'), options);
  } finally {
    await stage.close({ keepDirectory: false });
  }
}
