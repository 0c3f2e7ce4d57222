import { type Database, openDatabase, type Queryable, sql, type Tx } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { actingAs, grantRoles } from '../database-roles.ts';
import { openPasswords } from '../features/auth/index.ts';
import { templates } from '../features/email/index.ts';
import { brokenInvariants, sellLead } from '../testing/distribution.ts';
import { openTestWorld, type TestWorld } from '../testing/world.ts';
import { NotEmpty, type SeededWorld, seedWorld } from './seed-world.ts';

// Not the hour of the tests: what a world holds follows from the moment that it is given.
const now = new Date(Math.floor(Date.now() / 3_600_000) * 3_600_000);
const passwords = openPasswords({ memoryKib: 8, passes: 1 });

const seedInto = (world: TestWorld): Promise<SeededWorld> =>
  seedWorld({ profile: 'S', seed: 42, days: 30, now }, { ...world, authDeps: { passwords } });

/** Salts, and moments of the clock at which rows were really written. */
const byChance: Readonly<Record<string, string>> = {
  'identity.users': '{password_hash}',
  'ops.audit_log': '{at}',
  'ops.job_run': '{run_at,enqueued_at}',
  'ops.job_outbox': '{envelope}',
  'ops.dead_letter_queue': '{id}',
  'ops.dead_letter_payload': '{letter_id,created_at}',
  'ops.dead_letter_group': '{sample_id}',
};

/** A hash of each table that holds something. */
async function digests(db: Queryable): Promise<Record<string, string>> {
  const { rows } = await db.query<{ name: string }>(sql`
    select table_schema || '.' || table_name as name from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema in ('public', 'identity', 'ops')
      and table_name not in ('migration', 'signing_key')`);
  const found: Record<string, string> = {};
  for (const { name } of rows) {
    const text = `select md5(string_agg(t::text, '' order by t::text)) as digest
                  from (select to_jsonb(r) - '${byChance[name] ?? '{}'}'::text[] as t from ${name} r) x`;
    const { rows: hashed } = await db.query<{ digest: string | null }>({ name: `digest_${name}`, text, values: [] });
    if (hashed[0]?.digest) found[name] = hashed[0].digest;
  }
  return found;
}

const column = async (db: Queryable, statement: ReturnType<typeof sql>) =>
  (await db.query<{ value: string }>(statement)).rows.map(({ value }) => value);

describe('a seeded world', () => {
  let world: TestWorld;
  let made: SeededWorld;
  beforeAll(async () => {
    world = await openTestWorld();
    made = await seedInto(world);
  });
  afterAll(() => world.close());

  it('is the same for the same seed, row by row, also where the application makes it with its own rights', async () => {
    const again = await openTestWorld();
    await grantRoles(again.url);
    const db = openDatabase({ url: actingAs(again.url, 'fmhl_app'), poolSize: 2 });
    await seedInto({ ...again, db });
    await db.close();
    const [one, other] = [await digests(world.db), await digests(again.db)];
    expect(other).toEqual(one);
    const some = ['public.assignment', 'public.ledger_entry', 'ops.dead_letter_queue', 'public.email'];
    expect(Object.keys(one)).toEqual(expect.arrayContaining(some));
    await again.close();
  });

  it('breaks no invariant, and sales go on from where it ends', async () => {
    expect(await brokenInvariants(world.db)).toEqual({});
    const lead = await world.make.lead({
      nicheId: (await column(world.db, sql`select id as value from niche where slug = 'roofing'`))[0] ?? '',
      status: 'approved',
      areaCodes: ['*', 'US'],
    });
    expect(await sellLead(world.db, lead.id, world)).toMatchObject({ outcome: 'distributed' });
    expect(await brokenInvariants(world.db)).toEqual({});
  });

  it('sold every lead to who serves its place and wants it, as the database judges', async () => {
    const { rowCount } = await world.db.query(sql`
      select from assignment a join subscription s on s.id = a.subscription_id join lead l on l.id = a.lead_id
      where not s.areas && l.area_codes or not subscription_matches(s.filter_rules, l.form)
         or a.cap_limit is distinct from s.daily_cap or a.assigned_at < s.created_at`);
    expect(rowCount).toBe(0);
  });

  it('names nobody who could exist', async () => {
    const addresses = await column(
      world.db,
      sql`
      select to_address as value from email union select email from lead union select email from identity.users`,
    );
    expect(addresses.filter((address) => !/@(example\.com|[a-z]+\.test)$/.test(address))).toEqual([]);
    const phones = await column(world.db, sql`select phone_e164 as value from lead where phone_e164 is not null`);
    expect(phones.length).toBeGreaterThan(100);
    expect(phones.filter((phone) => !/^\+1\d{3}55501\d\d$/.test(phone))).toEqual([]);
  });

  it('has mails that their templates can write, and consents to the text of their niche', async () => {
    const { rows } = await world.db.query<{ template: keyof typeof templates; version: number; variables: unknown }>(
      sql`select template, template_version as version, variables from email`,
    );
    const unwritable = rows.filter(({ template, version, variables }) => {
      const known = templates[template];
      return known.version !== version || !known.variables.safeParse(variables).success;
    });
    expect(unwritable).toEqual([]);
    const { rowCount } = await world.db.query(sql`
      select from lead_consent c join lead l on l.id = c.lead_id join niche n on n.id = l.niche_id
      where l.idempotency_key like 'world-%' and c.text_sha256 <> encode(sha256(convert_to(n.consent_text, 'UTF8')), 'hex')`);
    expect(rowCount).toBe(0);
  });

  it('has dead letters that died when their jobs did, and an entry in the audit log', async () => {
    const { rows } = await world.db.query(sql`
      select count(*)::int as letters, count(distinct fingerprint)::int as groups,
             bool_and(state = 'pending' and failed_at < ${now} and created_at = failed_at and payload is not null) as open,
             (select sum(captured)::int from ops.dead_letter_change where at = date_trunc('hour', at)) as counted
      from ops.dead_letter_queue`);
    expect(rows).toEqual([
      { letters: made.deadLetters, groups: expect.any(Number), open: true, counted: made.deadLetters },
    ]);
    expect(made.deadLetters).toBeGreaterThan(5);
    expect(await column(world.db, sql`select action as value from ops.audit_log`)).toEqual(['world.seeded']);
  });

  it('plans the sales that lie ahead, and leaves nothing else to be done', async () => {
    const { rows } = await world.db.query(sql`
      select count(*)::int as waiting, bool_and(l.sale_no is not null) as all_known
      from ops.job_run r left join lead l on r.run_key = 'distribute-' || l.id || '-' || l.sale_no
      where r.state = 'enqueued' and l.status = 'unsold'`);
    expect(rows[0]).toMatchObject({ waiting: expect.any(Number) });
    const { rowCount } = await world.db.query(sql`
      select from lead l where status = 'unsold' and not exists (
        select from ops.job_run r where r.run_key = 'distribute-' || l.id || '-' || l.sale_no and r.state = 'enqueued')`);
    expect(rowCount).toBe(0);
  });

  it('leaves nothing behind when it is killed in the middle', async () => {
    const other = await openTestWorld();
    const transaction: Database['transaction'] = (work, options) =>
      other.db.transaction(async (tx) => {
        const query: Tx['query'] = (statement) => {
          if (statement.text.includes('update account')) throw new Error('killed here');
          return tx.query(statement);
        };
        return work({ ...tx, query });
      }, options);
    const db = Object.assign(Object.create(other.db) as Database, {
      query: other.db.query.bind(other.db),
      transaction,
    });
    await expect(seedInto({ ...other, db })).rejects.toThrow('killed here');
    expect(await digests(other.db)).toEqual({});
    await other.close();
  });

  it('is not mixed with what is there', async () => {
    await expect(seedInto(world)).rejects.toThrow(NotEmpty);
    await expect(seedInto(world)).rejects.toThrow('the database holds niches and providers and leads');
  });
});
