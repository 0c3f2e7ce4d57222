/** How long the history of a made-up market takes to be written, and whether it breaks an invariant. */
import { readConfig } from '../apps/marketplace/src/config.ts';
import { openPasswords } from '../apps/marketplace/src/features/auth/index.ts';
import { invariants } from '../apps/marketplace/src/invariants.ts';
import { seedWorld } from '../apps/marketplace/src/simulator/seed-world.ts';
import type { ProfileName } from '../apps/marketplace/src/simulator/shape.ts';
import { openTelemetry } from '../apps/marketplace/src/telemetry.ts';
import { type Database, openDatabase } from '../packages/ops/src/postgres/index.ts';
import { findBreaches } from '../packages/ops/src/doctor/index.ts';
import { copyDatabase } from './distribution-market.ts';
import { below, type Figure, type RunOptions } from './report.ts';

const targetSeconds = 180;

/** Seeds S, and M unless it is to be quick, each into a copy of the empty, migrated database of `url`. Nobody may be connected to that. */
export async function measureBackfill(
  url: string,
  { quick, say }: Pick<RunOptions, 'quick' | 'say'>,
): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const profile of quick ? (['S'] as const) : (['S', 'M'] as const)) {
    const db = openDatabase({
      url: await copyDatabase(url, `world_${profile.toLowerCase()}`),
      poolSize: 2,
      statementTimeoutMs: 0,
    });
    try {
      figures.push(...(await measureProfile(db, profile, say)));
    } finally {
      await db.close();
    }
  }
  return figures;
}

async function measureProfile(db: Database, profile: ProfileName, say: RunOptions['say']): Promise<Figure[]> {
  const startedAt = performance.now();
  const { rows } = await seedWorld({ profile, seed: 42, days: 30, now: new Date() }, depsOf(db));
  const seconds = (performance.now() - startedAt) / 1_000;
  const total = Object.values(rows).reduce((sum, count) => sum + count, 0);
  const told = `${rows.lead} leads, ${rows.assignment} assignments, ${rows.ledger_entry} ledger entries`;
  say(`profile ${profile}: ${told}; ${total} rows in ${seconds.toFixed(1)} s`);
  const broken = await countBroken(db);
  const what = `backfill of profile ${profile}, 30 days`;
  return [
    profile === 'M'
      ? below(targetSeconds, { what, value: seconds, unit: 's' })
      : { what, value: seconds, unit: 's', target: '', ok: true },
    { what: `rows written a second, profile ${profile}`, value: total / seconds, unit: 'rows/s', target: '', ok: true },
    {
      what: `rows that break an invariant, profile ${profile}`,
      value: broken,
      unit: 'rows',
      target: '= 0',
      ok: broken === 0,
    },
  ];
}

function depsOf(db: Database) {
  const { log } = openTelemetry(readConfig({}), { role: 'cli', logTo: { write: () => {} } });
  return { db, log, authDeps: { passwords: openPasswords() } };
}

/** Of all invariants of the marketplace. */
async function countBroken(db: Database): Promise<number> {
  let broken = 0;
  for (const invariant of invariants) broken += (await findBreaches(db, invariant)).count;
  return broken;
}
