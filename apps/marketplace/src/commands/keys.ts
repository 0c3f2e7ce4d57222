import { randomBytes } from 'node:crypto';
import { adoptAuditChain, changeAuditKey, type Database, openDatabase } from '@fmhl/ops';
import { type Command, InvalidArgumentError } from 'commander';
import { readProcessConfig } from '../config.ts';
import { resealSecrets } from '../features/second-factor/index.ts';
import { auditPurpose, type Keys, openKeys } from '../keys.ts';
import type { SettingName } from '../settings.ts';
import { requireMigrated } from './migrated.ts';
import { whoIsHere } from './user.ts';

/** `fmhl keys`: what a change of TOKEN_KEY needs. */
export function keysCommand(program: Command): void {
  const keys = program.command('keys').description('change the key from which all others follow');
  keys
    .command('new')
    .description('print a new key for TOKEN_KEY')
    .action(() => console.log(randomBytes(32).toString('hex')));
  keys
    .command('reseal')
    .description(
      'seal with TOKEN_KEY what TOKEN_KEY_PREVIOUS sealed, and go on with the audit log under it, so that it may be taken away (DATABASE_URL)',
    )
    .action(reseal);
  keys
    .command('adopt')
    .description(
      'go on under TOKEN_KEY with an audit log that was sealed by a key which was stolen or lost (DATABASE_URL); seals before are not checked any more',
    )
    .requiredOption('--reason <text>', 'why, for the audit log', knownAsReason)
    .action(adopt);
}

async function reseal(): Promise<void> {
  await withKeys(['databaseUrl', 'tokenKey', 'previousTokenKey'], async (db, keys) => {
    const resealed = await resealSecrets(db, keys);
    console.log(`sealed ${resealed} secrets of second factors anew`);
    const change = { keys: keys.derive(auditPurpose), actor: whoIsHere() };
    if (await changeAuditKey(db, change)) console.log('the audit log goes on under the new key');
  });
}

async function adopt({ reason }: { reason: string }): Promise<void> {
  await withKeys(['databaseUrl', 'tokenKey'], async (db, keys) => {
    const change = { keys: keys.derive(auditPurpose), actor: whoIsHere(), reason };
    const n = await adoptAuditChain(db, change);
    console.log(
      n === undefined
        ? 'there is nothing to adopt: the end of the audit log is not of an unknown key'
        : `the audit log goes on under the new key after number ${n}`,
    );
  });
}

function knownAsReason(text: string): string {
  const reason = text.trim();
  if (reason.length >= 1 && reason.length <= 500) return reason;
  throw new InvalidArgumentError('It must be 1 to 500 characters.');
}

async function withKeys(
  require: readonly SettingName[],
  act: (db: Database, keys: Keys) => Promise<void>,
): Promise<void> {
  const { databaseUrl = '', tokenKey = '', previousTokenKey } = readProcessConfig({}, { require });
  await requireMigrated(databaseUrl);
  const db = openDatabase({ url: databaseUrl, poolSize: 2 });
  try {
    await act(db, openKeys({ tokenKey, previousTokenKey }));
  } finally {
    await db.close();
  }
}
