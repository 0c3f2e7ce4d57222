import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, openDatabase } from '../../packages/ops/src/postgres/index.ts';
import { openApiClient } from './api-client.ts';
import { openAuthenticator } from './authenticator.ts';
import type { Evidence } from './checker.ts';
import { type Fleet, type Member, openFleet } from './fleet.ts';
import type { Intention } from './intentions.ts';
import { type Journal, openJournal } from './journal.ts';
import { type Load, openLoad } from './load.ts';
import { type MailServer, startMailServer } from './mail-server.ts';
import type { Random } from './random.ts';
import { admin, type Stage } from './stage.ts';
import { buildWorld } from './world.ts';

/** One system on a database of its own: nothing runs yet. */
export interface Scene {
  readonly fleet: Fleet;
  readonly db: Database;
  readonly mails: MailServer;
  readonly intentions: Journal<Intention>;
  readonly evidence: Evidence;
  /** Kills what runs and writes down what it logged. */
  close(): Promise<void>;
}

export async function openScene(name: string, stage: Stage): Promise<Scene> {
  const directory = join(stage.directory, name);
  mkdirSync(directory);
  await stage.redis.flushall();
  const databaseUrl = await stage.createDatabase(name);
  const mails = await startMailServer(join(directory, 'receipts.jsonl'));
  const fleet = await openFleet(stage.settings({ databaseUrl, smtpUrl: mails.url }));
  const db = openDatabase({ url: databaseUrl, poolSize: 4 });
  const intentions = openJournal<Intention>(join(directory, 'intentions.jsonl'));
  return {
    fleet,
    db,
    mails,
    intentions,
    evidence: { databaseUrl, intentionsPath: intentions.path, receiptsPath: mails.receipts.path },
    async close() {
      await fleet.close();
      writeFileSync(join(directory, 'log.jsonl'), fleet.members.flatMap(logOf).join('\n'));
      await db.close();
      await mails.stop();
    },
  };
}

function logOf({ role, pid, failpoint = 'unarmed', lines, end }: Member): string[] {
  return [`== ${role} ${pid}, ${failpoint}, ended by ${end?.signal ?? `code ${end?.code}`}`, ...lines];
}

/** Waits for the API and makes the world and its people. */
export async function populate(
  { fleet, db, mails, intentions }: Scene,
  terms: { random: Random; scarcePlaces: number },
): Promise<Load> {
  await fleet.living('api')[0]?.ready;
  const stranger = openApiClient(fleet.apiUrl);
  const staff = await stranger.signIn(admin.email, admin.password, openAuthenticator(admin.totpSecret));
  await buildWorld(terms, { db, admin: staff, intentions });
  return openLoad(terms.random, { public: stranger, admin: staff, mails, intentions });
}
