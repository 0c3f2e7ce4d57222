import { userInfo } from 'node:os';
import { type Actor, Refusal } from '@fmhl/ops';
import { type Command, InvalidArgumentError } from 'commander';
import { openApp, type ReadyConfig } from '../app.ts';
import { type Config, ConfigError, readProcessConfig } from '../config.ts';
import { emailAddress } from '../email-address.ts';
import { startEmbedded, tokenKey } from '../embedded/index.ts';
import { createAdmin } from '../features/auth/index.ts';
import { requireMigrated } from './migrated.ts';

export function userCommand(program: Command): void {
  program
    .command('user')
    .description('people who may sign in')
    .command('create-admin')
    .description(
      'make an administrator, beside those there are; also the way back when a password is lost, under another address; the password comes from FMHL_ADMIN_PASSWORD, else one is made and shown once; the second factor from FMHL_ADMIN_TOTP_SECRET, else it is enrolled at the first sign-in',
    )
    .argument('<email>', 'e-mail address to sign in with', knownAsAddress)
    .action(withAdmin);
}

function knownAsAddress(text: string): string {
  const read = emailAddress.safeParse(text);
  if (read.success) return read.data;
  throw new InvalidArgumentError('It must be an e-mail address, such as name@example.com.');
}

async function withAdmin(email: string): Promise<void> {
  const config = readProcessConfig({ adminEmail: email });
  const { dataDir, databaseUrl } = config;
  // Only Postgres is wanted: the others count as given.
  const embedded = await startEmbedded({ dataDir, databaseUrl, redisUrl: 'unused', smtpUrl: 'unused' });
  try {
    await requireMigrated(embedded.databaseUrl);
    const given = {
      databaseUrl: embedded.databaseUrl,
      redisUrl: 'redis://unused',
      smtpUrl: '',
      tokenKey: keyOf(config),
    };
    const password = await addAdmin(email, { ...config, ...given, logLevel: 'error' });
    console.log(password ? `${email} can sign in with the password ${password} (shown once)` : `${email} can sign in`);
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

async function addAdmin(email: string, config: ReadyConfig): Promise<string | undefined> {
  const app = openApp(config, { role: 'cli' });
  try {
    const { password } = await createAdmin(
      app.db,
      { email, password: config.adminPassword, totpSecret: config.adminTotpSecret, actor: whoIsHere() },
      app.authDeps,
    );
    return password;
  } catch (error) {
    throw inWords(error, email);
  } finally {
    await app.close();
  }
}

/** A refusal for the person at the terminal. */
function inWords(error: unknown, email: string): unknown {
  if (!(error instanceof Refusal)) return error;
  if (error.code === 'email_taken') return new ConfigError([`${email} has an account already: name another address`]);
  const [fault] = (error.details?.faults ?? []) as { message: string }[];
  return new ConfigError([`FMHL_ADMIN_PASSWORD: ${fault?.message ?? error.code}`]);
}

/** The login name; a container may run under a number that has none. */
function whoIsHere(): Actor {
  let name = 'unknown';
  try {
    name = userInfo().username;
  } catch {
    // It stays unknown.
  }
  return { id: `local-${name}`, name, via: 'cli-local' };
}
