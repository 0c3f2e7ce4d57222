import { openDatabase, openMigrator } from '@fmhl/ops';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Config, ConfigError, readProcessConfig } from '../config.ts';
import type { SeededWorld } from '../simulator/seed-world.ts';
import { requireMigrated } from './migrated.ts';

type ProfileName = 'S' | 'M' | 'L';

interface SeedFlags {
  readonly profile: ProfileName;
  readonly seed: number;
  readonly days: number;
  readonly json?: true;
}

export function seedCommand(program: Command): void {
  program
    .command('seed')
    .summary('fill an empty database with the history of a made-up market')
    .description(
      'fill an empty database with the history of a made-up market: providers, leads, sales, money, reports, mails and jobs, up to now; the same profile, seed and days make the same market; never in production',
    )
    .addOption(
      new Option('--profile <size>', 'S 50 providers, 300 leads; M 2,000 and 50,000; L 100,000 and 1,000,000')
        .choices(['S', 'M', 'L'])
        .default('S'),
    )
    .option('--seed <number>', 'everything follows from it', whole(0, 2 ** 31 - 1), 42)
    .option('--days <number>', 'how long the history is, 1 to 90', whole(1, 90), 30)
    .option('--json', 'what was made as one JSON object')
    .action((flags: SeedFlags) => seed(flags, readProcessConfig()));
}

function whole(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`);
  };
}

async function seed(flags: SeedFlags, config: Config): Promise<void> {
  if (config.nodeEnv === 'production')
    throw new ConfigError(['seed: a made-up market has no place in production (NODE_ENV)']);
  const startedAt = performance.now();
  const world = await withDatabase(config, (url) => fill(url, flags, config));
  const seconds = (performance.now() - startedAt) / 1_000;
  console.log(flags.json ? JSON.stringify({ ...flags, ...world }) : tableOf(world, flags, seconds));
}

/** The database that is named; else that of the data directory, brought to the version of this program, for the time of the command. */
async function withDatabase<T>({ databaseUrl, dataDir }: Config, work: (url: string) => Promise<T>): Promise<T> {
  if (databaseUrl !== undefined) {
    await requireMigrated(databaseUrl);
    return work(databaseUrl);
  }
  const { startEmbedded } = await import('../embedded/index.ts');
  const { migrationSets } = await import('../migrations.ts');
  const embedded = await startEmbedded({ dataDir, redisUrl: 'unused', smtpUrl: 'unused' });
  try {
    await openMigrator({ url: embedded.databaseUrl, sets: migrationSets }).up();
    return await work(embedded.databaseUrl);
  } finally {
    await embedded.stop();
  }
}

async function fill(url: string, { profile, seed: from, days, json }: SeedFlags, config: Config): Promise<SeededWorld> {
  const { NotEmpty, seedWorld } = await import('../simulator/seed-world.ts');
  const { openSeedProgress } = await import('../simulator/seed-progress.ts');
  const { openPasswords } = await import('../features/auth/index.ts');
  const { openTelemetry } = await import('../telemetry.ts');
  const { log } = openTelemetry({ ...config, logLevel: 'warn' }, { role: 'cli', logTo: process.stderr });
  const db = openDatabase({ url, poolSize: 2, applicationName: 'fmhl-seed' });
  const onProgress = openSeedProgress(
    (line) => console.error(`fmhl: ${line}`),
    () => performance.now(),
  );
  const options = { profile, seed: from, days, now: new Date(), ...(!json && { onProgress }) };
  try {
    return await seedWorld(options, { db, log, authDeps: { passwords: openPasswords() } });
  } catch (error) {
    if (!(error instanceof NotEmpty)) throw error;
    throw new ConfigError([
      `seed: ${error.message}, and a made-up market is not mixed with others`,
      'seed: give an empty database (DATABASE_URL), or another directory (DATA_DIR)',
    ]);
  } finally {
    await db.close();
  }
}

const shown = ['niche', 'provider', 'subscription', 'lead', 'assignment', 'ledger_entry', 'bad_lead_report', 'email'];

function tableOf({ rows, deadLetters, email, password }: SeededWorld, flags: SeedFlags, seconds: number): string {
  const counts = [...shown.map((table) => [table, rows[table] ?? 0] as const), ['dead letter', deadLetters] as const];
  return [
    `${flags.days} days of profile ${flags.profile} from seed ${flags.seed}, in ${seconds.toFixed(1)} s`,
    ...counts.map(
      ([what, count]) => `  ${what.replaceAll('_', ' ').padEnd(16)}${count.toLocaleString('en-US').padStart(12)}`,
    ),
    `every provider signs in with the password ${password} (shown once)`,
    `such as ${email}`,
  ].join('\n');
}
