import { randomBytes } from 'node:crypto';
import { openDatabase } from '@fmhl/ops';
import type { Command } from 'commander';
import { readProcessConfig } from '../config.ts';
import { resealSecrets } from '../features/second-factor/index.ts';
import { openKeys } from '../keys.ts';
import { requireMigrated } from './migrated.ts';

/** `fmhl keys`: what a change of TOKEN_KEY needs. */
export function keysCommand(program: Command): void {
  const keys = program.command('keys').description('change the key from which all others follow');
  keys
    .command('new')
    .description('print a new key for TOKEN_KEY')
    .action(() => console.log(randomBytes(32).toString('hex')));
  keys
    .command('reseal')
    .description('seal with TOKEN_KEY what TOKEN_KEY_PREVIOUS sealed, so that it may be taken away (DATABASE_URL)')
    .action(reseal);
}

async function reseal(): Promise<void> {
  const config = readProcessConfig({}, { require: ['databaseUrl', 'tokenKey', 'previousTokenKey'] });
  const { databaseUrl = '', tokenKey = '', previousTokenKey } = config;
  await requireMigrated(databaseUrl);
  const db = openDatabase({ url: databaseUrl, poolSize: 1 });
  try {
    const resealed = await resealSecrets(db, openKeys({ tokenKey, previousTokenKey }));
    console.log(`sealed ${resealed} secrets of second factors anew`);
  } finally {
    await db.close();
  }
}
