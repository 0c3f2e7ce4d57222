import { type Database, sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPasswords } from '../features/auth/index.ts';
import { createProvider } from '../features/subscriptions/index.ts';
import { brokenInvariants, sellLead } from '../testing/distribution.ts';
import { openKeys } from '../keys.ts';
import { openTestWorld, type TestWorld } from '../testing/world.ts';
import { demoSignIn } from './demo-providers.ts';
import { type DemoWorldDeps, seedDemoWorld } from './demo-world.ts';

/** A database in whose transactions the first statement with `text` in it fails. */
function breakingAt(db: Database, text: string): Database {
  const query = db.query.bind(db);
  const transaction: Database['transaction'] = (work) =>
    db.transaction((tx) =>
      work({
        ...tx,
        query: (statement) => {
          if (statement.text.includes(text)) throw new Error('killed here');
          return tx.query(statement);
        },
      }),
    );
  return Object.assign(Object.create(db) as Database, { query, transaction });
}

function depsOf({ log, metrics, now }: TestWorld, db: Database): DemoWorldDeps {
  const used = { db, log, metrics, now };
  const keys = openKeys({ tokenKey: '00'.repeat(32) });
  const passwords = openPasswords({ memoryKib: 8, passes: 1 });
  const relyingParty = { id: 'localhost', origin: 'http://localhost:3000' };
  return {
    db,
    log,
    authDeps: { ...used, keys, passwords, createProvider, mailVerification: async () => {}, relyingParty },
    billingDeps: { ...used, depositMode: 'instant', webhookSecrets: ['x'.repeat(16)] },
    leadDeps: {
      ...used,
      keys,
      readSales: async () => ({ runs: [], assignments: [], truncated: false }),
      eraseBeside: async () => {},
    },
  };
}

const seedInto = (world: TestWorld, db = world.db) => seedDemoWorld(depsOf(world, db));

/** The world without what differs each time: ids, times, secrets. */
async function portrait({ db }: TestWorld) {
  const statements = [
    sql`select n.slug, l.name, l.ord, l.price_cents, l.max_recipients from level l join niche n on n.id = l.niche_id order by 1, 3`,
    sql`select p.company, email, p.status, balance_cents
        from provider p join v_provider_contact c on c.provider_id = p.id join account a on a.provider_id = p.id order by 1`,
    sql`select p.company, n.slug, l.name, s.status, s.filter_rules, s.daily_cap
        from subscription s join provider p on p.id = s.provider_id
        join level l on l.id = s.level_id join niche n on n.id = l.niche_id order by 1, 2, 3`,
    sql`select name, status, area_codes, form, phone_e164, risk_flags from lead order by created_at`,
    sql`select template, count(*)::int from email group by 1 order by 1`,
  ];
  const answers = [];
  for (const statement of statements) answers.push((await db.query(statement)).rows);
  return answers;
}

async function countOf({ db }: TestWorld, table: 'niche' | 'provider' | 'lead'): Promise<number> {
  const statement = { niche: sql`select from niche`, provider: sql`select from provider`, lead: sql`select from lead` };
  return (await db.query(statement[table])).rowCount;
}

describe('the demo world', () => {
  let world: TestWorld;
  let other: TestWorld;
  beforeAll(async () => {
    [world, other] = [await openTestWorld(), await openTestWorld()];
  });
  afterAll(async () => {
    await world.close();
    await other.close();
  });

  it('leaves nothing behind when it is killed in the middle', async () => {
    await expect(seedInto(world, breakingAt(world.db, "set status = 'approved'"))).rejects.toThrow('killed here');
    expect([await countOf(world, 'niche'), await countOf(world, 'provider'), await countOf(world, 'lead')]).toEqual([
      0, 0, 0,
    ]);
  });

  it('is made once, however many starters there are, with one line in the log', async () => {
    const starts = await Promise.all([seedInto(world), seedInto(world)]);
    expect(starts.filter((signIn) => signIn !== undefined)).toEqual([
      { email: demoSignIn, password: expect.stringMatching(/^[a-z2-9]{5}(-[a-z2-9]{5}){3}$/) },
    ]);
    expect([await countOf(world, 'niche'), await countOf(world, 'provider'), await countOf(world, 'lead')]).toEqual([
      3, 12, 10,
    ]);
    expect(world.lines.map((line) => JSON.parse(line) as { event: string }).map(({ event }) => event)).toEqual([
      'demo_world_seeded',
    ]);
  });

  it('is the same in every database', async () => {
    await seedInto(other);
    expect(await portrait(other)).toEqual(await portrait(world));
  });

  it('has leads in each state that a person can bring about', async () => {
    const { rows } = await world.db.query(sql`select status, count(*)::int from lead group by 1 order by 1`);
    expect(rows).toEqual([
      { status: 'approved', count: 5 },
      { status: 'pending_approval', count: 3 },
      { status: 'pending_confirmation', count: 1 },
      { status: 'rejected', count: 1 },
    ]);
  });

  it('has a provider who waits for money, and a person who asked twice', async () => {
    const { rows: waiting } = await world.db.query(sql`
      select p.company from subscription s join provider p on p.id = s.provider_id where s.status = 'paused_funds'`);
    expect(waiting).toEqual([{ company: 'Fresh Start Removals' }]);
    const { rows: flagged } = await world.db.query(sql`select name, risk_flags from lead where risk_flags <> '{}'`);
    expect(flagged).toEqual([{ name: 'Ada Moreno', risk_flags: ['duplicate'] }]);
  });

  it('sells every approved lead, some of them to the provider who can sign in, and breaks no invariant', async () => {
    const { rows } = await world.db.query<{ id: string }>(
      sql`select id from lead where status = 'approved' order by created_at`,
    );
    const outcomes = [];
    for (const { id } of rows) outcomes.push((await sellLead(world.db, id, world)).outcome);
    expect(outcomes).toEqual(Array(5).fill('distributed'));
    const { rowCount } = await world.db.query(sql`
      select from assignment a join v_provider_contact c using (provider_id) where c.email = ${demoSignIn}`);
    expect(rowCount).toBeGreaterThanOrEqual(2);
    expect(await brokenInvariants(world.db)).toEqual({});
  });

  it('is not made where somebody has begun already', async () => {
    const before = await portrait(world);
    expect(await seedInto(world)).toBeUndefined();
    expect(await portrait(world)).toEqual(before);
  });
});
