import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { ConfigError, readProcessConfig } from '../config.ts';
import { createTotpSecret, totpCode } from '../features/second-factor/index.ts';
import { settings } from '../settings.ts';

export function totpCommand(program: Command): void {
  program
    .command('totp')
    .description(
      'print the present code of a second factor, for scripts: of the secret in FMHL_ADMIN_TOTP_SECRET, else of the one on standard input',
    )
    .option('--new', 'print a new secret in place of a code')
    .action(async ({ new: isNew }: { new?: boolean }) => {
      console.log(isNew ? createTotpSecret() : totpCode(await secretOf(), new Date()));
    });
}

async function secretOf(): Promise<string> {
  const { adminTotpSecret } = readProcessConfig();
  if (adminTotpSecret !== undefined) return adminTotpSecret;
  const read = settings.adminTotpSecret.schema.safeParse(await text(process.stdin));
  if (read.success) return read.data;
  throw new ConfigError([`standard input: expected ${read.error.issues[0]?.message}`]);
}
