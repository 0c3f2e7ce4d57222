import { type Database, findBreaches, type Invariant, type Queryable, sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { invariants, sameAs } from './invariants.ts';
import { sellLead } from './testing/distribution.ts';
import { openTestWorld, type TestWorld } from './testing/world.ts';

let world: TestWorld;
let db: Database;

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
  const { make } = world;
  const { id: nicheId } = await make.niche();
  const { id: levelId } = await make.level({ nicheId, priceCents: 500, maxRecipients: 2 });
  for (let n = 0; n < 2; n += 1) {
    const { id: providerId } = await make.provider();
    await make.credit({ providerId, amountCents: 5_000 });
    await make.subscription({ providerId, levelId, dailyCap: 3 });
  }
  for (let n = 0; n < 2; n += 1) {
    const lead = await make.lead({ nicheId });
    await sellLead(db, lead.id, { ...world });
  }
});
afterAll(() => world.close());

/** Those that are broken; of I11 it is asked apart, as its counters and triggers know of every breakage here. */
async function brokenIn(
  tx: Queryable,
  since: Date | null,
  asked: readonly Invariant[] = invariants.filter(({ name }) => name !== 'I11'),
) {
  const broken: string[] = [];
  for (const one of asked) if ((await findBreaches(tx, one, since)).count > 0) broken.push(one.name);
  return broken.sort();
}

/** Breaks, looks, and takes it back. */
function brokenBy(breakage: string, since: Date | null, asked?: readonly Invariant[]): Promise<string[]> {
  return db.transaction(async (tx) => {
    await tx.query(sql`savepoint whole`);
    for (const text of breakage.split(';')) await tx.query({ name: '', text, values: [] });
    const found = await brokenIn(tx, since, asked);
    await tx.query(sql`rollback to whole`);
    return found;
  });
}

const freely = (...tables: string[]) => tables.map((table) => `alter table ${table} disable trigger user`).join('; ');
const anHourAgo = () => new Date(Date.now() - 3_600_000);

/** An export that somebody asked for, with times so long ago. */
function anExport({ status, ...ages }: { status: string } & Record<string, string>): string {
  const times = Object.values(ages).map((age) => `now() - interval '${age}'`);
  return `insert into export_job (id, requested_by, type, filters, correlation_id, status, storage_key, bytes, sha256, ${Object.keys(ages).join()})
          select gen_random_uuid(), id, 'leads', '{"from": "", "to": ""}', 'test', '${status}', 'x.csv', 1, repeat('0', 64), ${times.join()}
          from identity.users limit 1`;
}

/** What bypasses the product, as constraints and triggers refuse it, with all that it breaks. */
const breakages: [name: string, breakage: string, also?: string[]][] = [
  [
    'I1',
    `alter table assignment drop constraint assignment_once_a_provider; ${freely('assignment')};
     insert into assignment select gen_random_uuid(), lead_id, provider_id, subscription_id, level_id, price_cents, 20, 20, cap_day, 1000, null
     from assignment limit 1`,
    ['I10', 'I2', 'I3', 'I8'],
  ],
  ['I2', `update lead set assigned_count = 0 where assigned_count > 0`],
  [
    'I3',
    `${freely('ledger_entry')}; update ledger_entry set amount_cents = -1 where kind = 'lead_charge'`,
    ['I5', 'M1', 'M2', 'M8'],
  ],
  ['I4', `${freely('assignment')}; update assignment set refunded_at = now()`, ['bad_lead_reports']],
  ['I5', `update account set balance_cents = balance_cents + 1`],
  [
    'I6',
    `alter table account drop constraint account_balance_cents_check; update account set balance_cents = -1`,
    ['I5', 'M1', 'M8'],
  ],
  ['I7', `update lead set is_test = true where assigned_count > 0`],
  ['I8', `${freely('assignment')}; update assignment set cap_n = cap_n + 1000, cap_limit = null`],
  [
    'I9',
    `${freely('assignment', 'ledger_entry')}; update assignment set price_cents = price_cents + 1;
          update ledger_entry set amount_cents = amount_cents - 1 where kind = 'lead_charge'`,
    ['I5', 'M1', 'M2', 'M8'],
  ],
  ['I10', `delete from email where template = 'new_lead'`],
  [
    'I10',
    `insert into email (id, dedupe_key, template, template_version, to_address, status)
           values (gen_random_uuid(), 'new_lead:of nothing', 'new_lead', 1, 'nobody', 'queued')`,
  ],
  ['I11', `alter table ledger_entry disable trigger ledger_entry_append_only`],
  ['I11', `grant delete on lead_consent to public`],
  [
    'I12',
    `update lead set status = 'approved', sale_no = 9, updated_at = now() - interval '1 hour', approved_at = now() - interval '1 hour'`,
    ['I7'],
  ],
  ['lead_erasure', `update lead set erased_at = now()`],
  ['M1', `update account set balance_cents = balance_cents + 5`, ['I5', 'M8']],
  ['M2', `${freely('ledger_entry')}; delete from ledger_entry where account_version = 1`, ['I5', 'M1', 'M8']],
  [
    'M7',
    `insert into payment (provider_id, gateway, external_id, amount_cents, status)
          select provider_id, 'test', provider_id::text, 100, 'succeeded' from account`,
  ],
  [
    'M8',
    `alter table balance_correction drop constraint balance_correction_small;
     insert into balance_correction (run_id, provider_id, cached_cents, ledger_cents, diff_cents, action, cause, last_version, actor, correlation_id)
     select gen_random_uuid(), provider_id, 900, 100, 800, 'corrected', 'difference', 1, 'test', 'test' from account limit 1`,
  ],
  [
    'bad_lead_reports',
    `insert into bad_lead_report (assignment_id, provider_id, reason, status, via, reported_at)
                        select id, gen_random_uuid(), 'spam', 'pending', 'report', now() from assignment limit 1`,
  ],
  ['bad_leads', `update lead set status = 'bad', bad_at = now() where status = 'distributed'`],
  ['exports_go_on', anExport({ status: 'pending', created_at: '6 minutes' })],
  ['exports_end', anExport({ status: 'completed', completed_at: '25 hours', expires_at: '1 hour' })],
  ['exports_are_told', anExport({ status: 'completed', completed_at: '1 hour', expires_at: '-23 hours' })],
];

describe('the invariants of the marketplace', () => {
  it('hold after sales, looked at as a whole and since an hour ago', async () => {
    expect(await brokenIn(db, null, invariants)).toEqual([]);
    expect(await brokenIn(db, anHourAgo(), invariants)).toEqual([]);
  });

  it.each(breakages)('%s is seen to break', async (name, breakage, also = []) => {
    const expected = [name, ...also].sort();
    const asked = name === 'I11' ? invariants.filter((one) => one.name === name) : undefined;
    expect(await brokenBy(breakage, null, asked)).toEqual(expected);
    expect(await brokenBy(breakage, anHourAgo(), asked)).toEqual(expected);
  });

  it('are each broken above', () => {
    const broken = new Set(breakages.map(([name]) => name));
    expect(invariants.map(({ name }) => name).filter((name) => !broken.has(name))).toEqual([]);
  });

  it('say what is always true in one sentence, what keeps it true, and what to do', () => {
    for (const { name, title, enforcedBy } of invariants) {
      expect(title.length, name).toBeGreaterThan(10);
      expect(enforcedBy.length, name).toBeGreaterThan(5);
    }
    const names = new Set(invariants.map(({ name }) => name));
    expect(Object.values(sameAs).filter((name) => !names.has(name))).toEqual([]);
  });

  it('look only at what is new, where it is told since when', async () => {
    const later = new Date(Date.now() + 3_600_000);
    expect(
      await brokenBy(`${freely('assignment')}; update assignment set cap_n = cap_n + 7, cap_limit = null`, later),
    ).toEqual([]);
  });
});
