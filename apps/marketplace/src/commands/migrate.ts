import { type MigrationState, openMigrator } from '@fmhl/ops';
import { type Command, InvalidArgumentError } from 'commander';
import { readProcessConfig } from '../config.ts';
import { requireDatabaseAt } from '../connect-faults.ts';
import { startEmbedded } from '../embedded/index.ts';
import { databaseRoles, grantRoles, hasRoles, rolesSql } from '../database-roles.ts';
import { migrationSets } from '../migrations.ts';
import { requireMigrated } from './migrated.ts';

export function migrateCommand(program: Command): void {
  const migrate = program.command('migrate').description('bring the database to the version of this program, or back');
  migrate
    .command('up', { isDefault: true })
    .description('apply every migration that waits')
    .action(() =>
      withDatabase(async (url) => {
        report('applied', await openMigrator({ url, sets: migrationSets }).up());
        if (await hasRoles(url)) await grantRoles(url);
      }),
    );
  migrate
    .command('down')
    .description('revert the newest migrations; without --steps, all of them: every row of the product is lost')
    .option('--steps <n>', 'how many', wholeNumber)
    .action(({ steps }: { steps?: number }) =>
      withDatabase(async (url) => report('reverted', await openMigrator({ url, sets: migrationSets }).down(steps))),
    );
  migrate
    .command('status')
    .description('list the migrations and when each was applied')
    .action(() => withDatabase(async (url) => list(await openMigrator({ url, sets: migrationSets }).status())));
  migrate
    .command('roles')
    .description('make the database roles of the processes, and grant each what it needs and no more')
    .option('--print', 'print the SQL and do nothing')
    .action(({ print }: { print?: true }) => (print ? console.log(rolesSql()) : withDatabase(grantAll)));
}

async function grantAll(url: string): Promise<void> {
  await requireMigrated(url);
  await grantRoles(url);
  console.log(`granted ${Object.keys(databaseRoles).join(', ')}`);
}

/** The database that is named, or the embedded one of the data directory for the time of the command. */
async function withDatabase(work: (url: string) => Promise<void>): Promise<void> {
  const config = readProcessConfig();
  if (config.databaseUrl) {
    await requireDatabaseAt(config.databaseUrl);
    return work(config.databaseUrl);
  }
  // Only Postgres is wanted: the others count as given.
  const embedded = await startEmbedded({ dataDir: config.dataDir, redisUrl: 'unused', smtpUrl: 'unused' });
  try {
    await work(embedded.databaseUrl);
  } finally {
    await embedded.stop();
  }
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number from 1');
}

function report(done: string, states: readonly MigrationState[]): void {
  for (const { set, name } of states) console.log(`${done} ${set}/${name}`);
  if (states.length === 0) console.log(`nothing ${done}: the database is there already`);
}

function list(states: readonly MigrationState[]): void {
  for (const { set, name, appliedAt } of states)
    console.log(`${(appliedAt?.toISOString() ?? 'waits').padEnd(25)} ${set}/${name}`);
}
