import { writeFileSync } from 'node:fs';
import { openDatabase, raw } from '../../packages/ops/src/postgres/index.ts';
import { readJournal } from '../harness/journal.ts';
import type { Receipt } from '../harness/mail-server.ts';
import type { Stage } from '../harness/stage.ts';
import { check, type Evidence, type FaultKind, faultKinds } from '../harness/checker.ts';
import type { Intention } from '../harness/intentions.ts';
import { fundedSlug } from '../harness/world.ts';

/** A fault put into a copy of good evidence: statements for the database, or another journal. */
interface Plant {
  readonly sql?: string;
  readonly intentions?: (all: Intention[]) => Intention[];
  readonly receipts?: (all: Receipt[]) => Receipt[];
}

/** Every kind of fault, planted once: a check that was never seen to fail proves nothing. */
const plants: Record<FaultKind, Plant> = {
  lost_submission: { sql: 'delete from lead_consent where lead_id = (select id from lead limit 1)' },
  lost_approval: { sql: 'delete from distribution_run where id = (select id from distribution_run limit 1)' },
  sold_without_approval: { intentions: withoutOneApproval },
  sold_twice: {
    sql: `create temp table again as select * from distribution_run where outcome = 'distributed' limit 1;
          update again set id = gen_random_uuid(), sale_no = 2;
          insert into distribution_run select * from again`,
  },
  charged_twice: {
    sql: `drop index ledger_entry_charge;
          create temp table again as select * from ledger_entry where kind = 'lead_charge' limit 1;
          update again set id = gen_random_uuid(), account_version = account_version + 1000;
          insert into ledger_entry select * from again`,
  },
  money_astray: { sql: 'update account set balance_cents = balance_cents + 1' },
  wrongly_unsold: {
    intentions: (all) => all.map((one) => (one.kind === 'scarce' ? { ...one, places: one.places + 1 } : one)),
  },
  broken_invariant: { sql: 'update assignment set slot_cap = slot_cap + 1' },
  undelivered_mail: { receipts: withoutOneMail },
  doubled_mail: { receipts: (all) => [...all, ...all] },
  unknown_mail: { receipts: (all) => [...all, { messageId: 'nobody@example.com', to: 'nobody@example.com' }] },
  unfinished_run: {
    sql: `update ops.job_run set state = 'enqueued', finished_at = null where run_key = (select min(run_key) from ops.job_run where state = 'done')`,
  },
  race_not_won_once: { intentions: (all) => all.map((one) => (one.kind === 'raced' ? { ...one, winners: 2 } : one)) },
};

/** Shows the checker each kind of fault and answers the kinds it did not report. */
export async function unseenPlants(evidence: Evidence, stage: Stage): Promise<FaultKind[]> {
  const unseen: FaultKind[] = [];
  for (const kind of faultKinds) {
    const { faults } = await check(await plantedIn(evidence, kind, stage));
    if (faults[kind].length === 0) unseen.push(kind);
  }
  return unseen;
}

async function plantedIn(evidence: Evidence, kind: FaultKind, stage: Stage): Promise<Evidence> {
  const { sql, intentions, receipts } = plants[kind];
  return {
    databaseUrl:
      sql === undefined ? evidence.databaseUrl : await changedCopy(evidence.databaseUrl, sql, `planted_${kind}`, stage),
    intentionsPath: intentions ? rewritten(evidence.intentionsPath, intentions) : evidence.intentionsPath,
    receiptsPath: receipts ? rewritten(evidence.receiptsPath, receipts) : evidence.receiptsPath,
  };
}

/** Triggers and foreign keys are off: the fault is planted behind the back of all that prevents it. */
async function changedCopy(databaseUrl: string, sql: string, name: string, stage: Stage): Promise<string> {
  const url = await stage.copyDatabase(new URL(databaseUrl).pathname.slice(1), name);
  const db = openDatabase({ url, poolSize: 1 });
  await db.query(raw(`set session_replication_role = replica; ${sql}`));
  await db.close();
  return url;
}

function rewritten<Entry>(path: string, change: (all: Entry[]) => Entry[]): string {
  const planted = `${path}.planted`;
  writeFileSync(
    planted,
    change(readJournal<Entry>(path))
      .map((entry) => `${JSON.stringify(entry)}\n`)
      .join(''),
  );
  return planted;
}

/** Of a lead that is surely sold: the money of the other niche is not enough for all. */
function withoutOneApproval(all: Intention[]): Intention[] {
  const at = all.findIndex((one) => one.kind === 'approved' && one.niche === fundedSlug);
  return all.filter((_one, index) => index !== at);
}

function withoutOneMail(all: Receipt[]): Receipt[] {
  return all.filter(({ messageId }) => messageId !== all[0]?.messageId);
}
