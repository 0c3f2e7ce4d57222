import { userInfo } from 'node:os';
import { type Actor, Refusal } from '@fmhl/ops';
import { type Command, InvalidArgumentError } from 'commander';
import { type App, openApp } from '../app.ts';
import { type Config, ConfigError, readProcessConfig } from '../config.ts';
import { emailAddress } from '../email-address.ts';
import { startEmbedded, tokenKey } from '../embedded/index.ts';
import { resetSecondFactor } from '../features/accounts/index.ts';
import { createAdmin } from '../features/auth/index.ts';
import { requireMigrated } from './migrated.ts';

export function userCommand(program: Command): void {
  const user = program.command('user').description('people who may sign in');
  user
    .command('create-admin')
    .summary('make an administrator')
    .description(
      'make an administrator, beside those there are; also the way back when a password is lost, under another address; the password comes from FMHL_ADMIN_PASSWORD, else one is made and shown once; the second factor from FMHL_ADMIN_TOTP_SECRET, else it is enrolled at the first sign-in',
    )
    .argument('<email>', 'e-mail address to sign in with', knownAsAddress)
    .action(withAdmin);
  user
    .command('reset-second-factor')
    .summary('for who has lost it')
    .description(
      'take the second factor of a user away, recovery codes and passkeys too, and end their sessions: the way back for who has lost it; the next sign-in enrols another',
    )
    .argument('<email>', 'e-mail address of the user', knownAsAddress)
    .option('--reason <text>', 'why, for the audit log')
    .action(withoutFactor);
}

function knownAsAddress(text: string): string {
  const read = emailAddress.safeParse(text);
  if (read.success) return read.data;
  throw new InvalidArgumentError('It must be an e-mail address, such as name@example.com.');
}

async function withAdmin(email: string): Promise<void> {
  const config = readProcessConfig({ adminEmail: email });
  const password = await onDatabase(config, keyOf, (app) => addAdmin(email, config, app));
  console.log(password ? `${email} can sign in with the password ${password} (shown once)` : `${email} can sign in`);
}

async function withoutFactor(email: string, { reason }: { reason?: string }): Promise<void> {
  const unkeyed = () => '';
  const { methods, sessions } = await onDatabase(readProcessConfig(), unkeyed, (app) =>
    resetSecondFactor({ email, reason, actor: whoIsHere() }, app.accountDeps).catch((error: unknown) => {
      throw inWords(error, email);
    }),
  );
  const taken = methods.length === 0 ? 'had no second factor' : `has no second factor any more (${methods.join(', ')})`;
  console.log(`${email} ${taken}; ${sessions} sessions ended`);
}

async function onDatabase<T>(
  config: Config,
  keyOfApp: (config: Config) => string,
  work: (app: App) => Promise<T>,
): Promise<T> {
  const { dataDir, databaseUrl } = config;
  // Only Postgres is wanted: the others count as given.
  const embedded = await startEmbedded({ dataDir, databaseUrl, redisUrl: 'unused', smtpUrl: 'unused' });
  try {
    await requireMigrated(embedded.databaseUrl);
    const given = {
      databaseUrl: embedded.databaseUrl,
      redisUrl: 'redis://unused',
      smtpUrl: '',
      tokenKey: keyOfApp(config),
    };
    const app = openApp({ ...config, ...given, logLevel: 'error' }, { role: 'cli' });
    try {
      return await work(app);
    } finally {
      await app.close();
    }
  } finally {
    await embedded.stop();
  }
}

/** Only a second factor is sealed here. Its key must be that of the product, which for another's database only TOKEN_KEY tells. */
function keyOf({ tokenKey: given, adminTotpSecret, databaseUrl, dataDir }: Config): string {
  if (given !== undefined || adminTotpSecret === undefined) return given ?? '';
  if (databaseUrl !== undefined) throw new ConfigError(['TOKEN_KEY: required with FMHL_ADMIN_TOTP_SECRET']);
  return tokenKey(dataDir);
}

async function addAdmin(email: string, config: Config, app: App): Promise<string | undefined> {
  try {
    const { password } = await createAdmin(
      app.db,
      { email, password: config.adminPassword, totpSecret: config.adminTotpSecret, actor: whoIsHere() },
      app.authDeps,
    );
    return password;
  } catch (error) {
    throw inWords(error, email);
  }
}

/** A refusal for the person at the terminal. */
function inWords(error: unknown, email: string): unknown {
  if (!(error instanceof Refusal)) return error;
  if (error.code === 'email_taken') return new ConfigError([`${email} has an account already: name another address`]);
  if (error.code === 'not_found') return new ConfigError([`${email} has no account`]);
  const [fault] = (error.details?.faults ?? []) as { message: string }[];
  return new ConfigError([`FMHL_ADMIN_PASSWORD: ${fault?.message ?? error.code}`]);
}

/** The login name; a container may run under a number that has none. */
export function whoIsHere(): Actor {
  let name = 'unknown';
  try {
    name = userInfo().username;
  } catch {
    // It stays unknown.
  }
  return { id: `local-${name}`, name, via: 'cli-local' };
}
