/** Compares what was acknowledged with what Postgres and the mail server hold. Runs as a process of its own, and believes nobody. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { invariants } from '../../apps/marketplace/src/invariants.ts';
import { findBreaches } from '../../packages/ops/src/doctor/index.ts';
import { type Database, openDatabase, type Sql, sql } from '../../packages/ops/src/postgres/index.ts';
import { readJournal } from './journal.ts';
import type { Receipt } from './mail-server.ts';
import type { Intention } from './intentions.ts';

/** Where the checker finds what it compares. */
export interface Evidence {
  readonly databaseUrl: string;
  readonly intentionsPath: string;
  readonly receiptsPath: string;
}

/** Every kind of fault the checker looks for. */
export const faultKinds = [
  'lost_submission',
  'lost_approval',
  'sold_without_approval',
  'sold_twice',
  'charged_twice',
  'money_astray',
  'wrongly_unsold',
  'broken_invariant',
  'undelivered_mail',
  'doubled_mail',
  'unknown_mail',
  'unfinished_run',
  'race_not_won_once',
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Findings {
  /** What is wrong, by kind: ids of what is concerned. */
  readonly faults: Record<FaultKind, string[]>;
  readonly counts: { approved: number; sold: number; unsold: number; charges: number; mails: number; copies: number };
}

interface Facts {
  readonly db: Database;
  readonly intentions: readonly Intention[];
  readonly receipts: readonly Receipt[];
}

export async function check(evidence: Evidence): Promise<Findings> {
  const db = openDatabase({ url: evidence.databaseUrl, poolSize: 2 });
  const intentions = readJournal<Intention>(evidence.intentionsPath);
  const receipts = readJournal<Receipt>(evidence.receiptsPath);
  try {
    const facts = { db, intentions, receipts };
    const checks: Record<FaultKind, (facts: Facts) => Promise<string[]>> = {
      lost_submission: lostSubmissions,
      lost_approval: lostApprovals,
      sold_without_approval: soldWithoutApproval,
      sold_twice: soldTwice,
      charged_twice: chargedTwice,
      money_astray: moneyAstray,
      wrongly_unsold: wronglyUnsold,
      broken_invariant: brokenInvariants,
      undelivered_mail: undeliveredMails,
      doubled_mail: doubledMails,
      unknown_mail: unknownMails,
      unfinished_run: unfinishedRuns,
      race_not_won_once: async () =>
        intentions.flatMap((one) => (one.kind === 'raced' && one.winners !== 1 ? [one.leadId] : [])),
    };
    const faults = Object.fromEntries(faultKinds.map((kind) => [kind, [] as string[]])) as Findings['faults'];
    for (const kind of faultKinds) faults[kind] = await checks[kind](facts);
    return { faults, counts: await countAll(facts) };
  } finally {
    await db.close();
  }
}

const ids = async (db: Database, statement: Sql): Promise<string[]> =>
  (await db.query<{ id: string }>(statement)).rows.map(({ id }) => id);

const leadsOf = (intentions: readonly Intention[], kind: 'submitted' | 'approved'): string[] =>
  intentions.flatMap((one) => (one.kind === kind ? [one.leadId] : []));

/** An accepted lead stands in the database, with its consent and its confirmation mail. */
async function lostSubmissions({ db, intentions }: Facts): Promise<string[]> {
  return ids(
    db,
    sql`
    select s.id from unnest(${leadsOf(intentions, 'submitted')}::uuid[]) s(id)
    where not exists (select from lead l where l.id = s.id)
       or not exists (select from lead_consent c where c.lead_id = s.id)
       or not exists (select from email e where e.dedupe_key = 'confirm:' || s.id || ':1')`,
  );
}

/** An approved lead has one record of its first sale, its verdict, and is in the state that the record says. */
async function lostApprovals({ db, intentions }: Facts): Promise<string[]> {
  return ids(
    db,
    sql`
    select a.id from unnest(${leadsOf(intentions, 'approved')}::uuid[]) a(id)
    left join lead l on l.id = a.id
    left join distribution_run d on d.lead_id = a.id and d.sale_no = 1
    left join ops.job_run r on r.run_key = 'distribute-' || a.id || '-1'
    where l.status is null or r.state is distinct from 'done' or d.outcome is distinct from l.status
       or (l.status = 'distributed') <> exists (select from assignment s where s.lead_id = a.id)`,
  );
}

async function soldWithoutApproval({ db, intentions }: Facts): Promise<string[]> {
  return ids(
    db,
    sql`select distinct lead_id as id from assignment where lead_id <> all (${leadsOf(intentions, 'approved')}::uuid[])`,
  );
}

async function soldTwice({ db }: Facts): Promise<string[]> {
  return ids(
    db,
    sql`
    select lead_id as id from distribution_run group by lead_id
    having count(*) filter (where outcome = 'distributed') > 1 or count(*) <> count(distinct sale_no)`,
  );
}

async function chargedTwice({ db }: Facts): Promise<string[]> {
  return ids(
    db,
    sql`
    select a.lead_id as id from ledger_entry e join assignment a on a.id = e.assignment_id
    where e.kind = 'lead_charge' group by a.lead_id, e.provider_id having count(*) > 1`,
  );
}

/** What each provider was given is what it still has and what its assignments cost. */
async function moneyAstray({ db, intentions }: Facts): Promise<string[]> {
  const credits = intentions.flatMap((one) => (one.kind === 'credited' ? [one] : []));
  return ids(
    db,
    sql`
    select c.provider_id as id
    from unnest(${credits.map((one) => one.providerId)}::uuid[], ${credits.map((one) => one.cents)}::bigint[]) c(provider_id, cents)
    left join account a using (provider_id)
    where c.cents is distinct from
      a.balance_cents + (select coalesce(sum(s.price_cents), 0) from assignment s where s.provider_id = c.provider_id)`,
  );
}

/** Where money is enough nobody stays unsold; where it is scarce it buys exactly as many leads as it can. */
async function wronglyUnsold({ db, intentions }: Facts): Promise<string[]> {
  const scarce = intentions.flatMap((one) => (one.kind === 'scarce' ? [one] : []));
  const slugs = scarce.map(({ niche }) => niche);
  const unsold = await ids(
    db,
    sql`
    select l.id from lead l join niche n on n.id = l.niche_id
    where l.id = any (${leadsOf(intentions, 'approved')}::uuid[]) and l.status <> 'distributed' and n.slug <> all (${slugs}::text[])`,
  );
  for (const { niche, places } of scarce) {
    const asked = intentions.filter((one) => one.kind === 'approved' && one.niche === niche).length;
    const sold = await ids(
      db,
      sql`
      select l.id from lead l join niche n on n.id = l.niche_id where n.slug = ${niche} and l.status = 'distributed'`,
    );
    if (sold.length !== Math.min(places, asked))
      unsold.push(`${niche}: ${sold.length} sold of ${asked}, with money for ${places}`);
  }
  return unsold;
}

async function brokenInvariants({ db }: Facts): Promise<string[]> {
  const broken: string[] = [];
  for (const probe of invariants) {
    const { rows } = await findBreaches(db, probe);
    broken.push(...rows.map((row) => `${probe.name} ${JSON.stringify(row)}`));
  }
  return broken;
}

/** Every promised mail is marked as sent, and the mail server has it. */
async function undeliveredMails({ db, receipts }: Facts): Promise<string[]> {
  return ids(
    db,
    sql`
    select id from email
    where status <> 'sent' or not id::text = any (${receipts.map(mailOf)}::text[])`,
  );
}

/** A mail may come again only for a start of its run that ended without a word, between the 250 and the commit. */
async function doubledMails({ db, receipts }: Facts): Promise<string[]> {
  return ids(
    db,
    sql`
    select m.id from unnest(${receipts.map(mailOf)}::text[]) m(id)
    left join ops.job_run r on r.run_key = 'email-' || m.id
    group by m.id, r.started, r.finished
    having count(*) - 1 > coalesce(r.started - r.finished, 0)`,
  );
}

async function unknownMails({ db, receipts }: Facts): Promise<string[]> {
  return ids(
    db,
    sql`
    select m.id from unnest(${receipts.map(mailOf)}::text[], ${receipts.map(({ to }) => to)}::text[]) m(id, address)
    where not exists (select from email e where e.id::text = m.id and e.to_address = m.address)`,
  );
}

const mailOf = ({ messageId }: Receipt): string => messageId.split('@', 1)[0] ?? '';

/** Nothing has died, and nothing that is due is still open. */
async function unfinishedRuns({ db }: Facts): Promise<string[]> {
  return ids(
    db,
    sql`
    select run_key || ' ' || state as id from ops.job_run
    where state = 'dead' or (state = 'enqueued' and run_at <= clock_timestamp() + interval '1 minute')`,
  );
}

async function countAll({ db, intentions, receipts }: Facts): Promise<Findings['counts']> {
  const { rows } = await db.query<Omit<Findings['counts'], 'approved' | 'copies'>>(sql`
    select count(*) filter (where status = 'distributed')::int as sold, count(*) filter (where status = 'unsold')::int as unsold,
           (select count(*)::int from ledger_entry where kind = 'lead_charge') as charges,
           (select count(*)::int from email) as mails
    from lead`);
  const counted = rows[0] ?? { sold: 0, unsold: 0, charges: 0, mails: 0 };
  const copies = receipts.length - new Set(receipts.map(mailOf)).size;
  return { ...counted, approved: leadsOf(intentions, 'approved').length, copies };
}

/** The same in a process of its own. */
export async function checkFromOutside({ databaseUrl, intentionsPath, receiptsPath }: Evidence): Promise<Findings> {
  const self = fileURLToPath(import.meta.url);
  const { stdout } = await promisify(execFile)(process.execPath, [self, databaseUrl, intentionsPath, receiptsPath]);
  return JSON.parse(stdout) as Findings;
}

if (import.meta.main) {
  const [databaseUrl = '', intentionsPath = '', receiptsPath = ''] = process.argv.slice(2);
  console.log(JSON.stringify(await check({ databaseUrl, intentionsPath, receiptsPath })));
}
