import { randomUUID } from 'node:crypto';
import { type Queryable, type Statement, sql } from '@fmhl/ops';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { openIntake } from './intake.ts';
import { insertLeads, type NewLead } from './intake-statement.ts';

let world: TestWorld;
let nicheId: string;

beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  nicheId = (await world.make.niche()).id;
});

function newLead(more: Partial<NewLead> = {}): NewLead {
  const id = randomUUID();
  const email = `${id}@example.com`;
  return {
    id,
    niche: { id: nicheId, name: 'Roofing', consentVersion: 1, consentSha256: '0'.repeat(64), dedupDays: 30 },
    name: 'Jane Canary',
    email,
    emailNorm: email,
    phoneE164: null,
    areaCodes: ['*', 'US'],
    form: { what: 'A "new" roof, {really} \\ 屋根' },
    source: null,
    campaign: null,
    utm: { medium: 'mail' },
    ip: `2001:db8::${id.slice(0, 4)}:${id.slice(4, 8)}`,
    pageUrl: null,
    userAgent: null,
    isTest: false,
    disposable: false,
    idempotencyKey: null,
    requestSha256: null,
    context: { correlationId: `journey-${id}`, traceparent: `trace-${id}` },
    ...more,
  };
}
const many = (count: number, more?: Partial<NewLead>) => Array.from({ length: count }, () => newLead(more));
const idsOf = (leads: readonly NewLead[]) => leads.map(({ id }) => id);

/** The database, counting statements. */
function counted() {
  const counter = { statements: 0 };
  const query: Queryable['query'] = (statement) => {
    counter.statements += 1;
    return world.db.query(statement);
  };
  return { counter, query };
}

/** One that has the niche and the time alone would do for the first and the last, and be read to its end for each new person. */
const lookups = ['lead_email', 'lead_ip', 'lead_phone'];

/** The indexes by which the intake looks for earlier leads; `none` where it reads the whole table. */
async function indexesOf({ db }: Pick<TestWorld, 'db'>): Promise<string[]> {
  let plan: { 'QUERY PLAN': string }[] = [];
  const explaining = {
    async query({ text, values }: Statement) {
      plan = (await db.query<{ 'QUERY PLAN': string }>({ name: '', text: `explain ${text}`, values })).rows;
      return { rows: [], rowCount: 0 };
    },
  };
  await insertLeads(explaining, many(20));
  const scans = plan.map((row) => row['QUERY PLAN']).filter((line) => /Scan.* on (lead|email|job_run)\b/.test(line));
  return scans
    .map((line) => / using (\w+) on /.exec(line)?.[1] ?? 'none')
    .toSorted((one, other) => one.localeCompare(other));
}

describe('leads that come together', () => {
  it('share statements and commits, and each is stored with all that belongs to it', async () => {
    const db = counted();
    const intake = openIntake(db);
    const leads = many(100);
    const stored = await Promise.all(leads.map((lead) => intake.store(lead)));
    expect(stored).toEqual(leads.map(({ id }) => ({ id, duplicate: false })));
    expect(db.counter.statements).toBeLessThan(10);
    const { rows } = await world.db.query(sql`
      select count(*)::int as leads, count(c.lead_id)::int as consents, count(e.id)::int as mails, count(o.run_key)::int as jobs,
             count(v.event_id)::int as events, count(distinct l.xmin::text)::int as commits
      from lead l left join lead_consent c on c.lead_id = l.id left join email e on e.related_id = l.id
      left join ops.job_outbox o on o.run_key = 'email-' || e.id left join ops.event_outbox v on v.aggregate_id = l.id::text
      where l.id = any(${idsOf(leads)}::uuid[])`);
    const { statements: commits } = db.counter;
    expect(rows).toEqual([{ leads: 100, consents: 100, mails: 100, jobs: 100, events: 100, commits }]);
  });

  it('keep their own values, and their own journeys in rows, jobs and events', async () => {
    const leads = [newLead({ phoneE164: '+14155550101', source: 'ads' }), newLead({ campaign: 'spring' }), newLead()];
    await insertLeads(world.db, leads);
    for (const { id, email, phoneE164, source, campaign, form, utm } of leads) {
      const { rows } = await world.db.query(sql`
        select l.email, l.phone_e164, l.source, l.campaign, l.form, l.utm, l.area_codes, l.correlation_id, e.to_address,
               r.correlation_id as job_journey, r.traceparent as job_trace, v.correlation_id as event_journey,
               v.traceparent as event_trace, o.envelope::jsonb -> 'meta' ->> 'correlation_id' as handed_journey
        from lead l join email e on e.related_id = l.id join ops.job_run r on r.run_key = 'email-' || e.id
        join ops.job_outbox o using (run_key) join ops.event_outbox v on v.aggregate_id = l.id::text where l.id = ${id}`);
      const journey = `journey-${id}`;
      expect(rows).toEqual([
        {
          email,
          phone_e164: phoneE164,
          source,
          campaign,
          form,
          utm,
          area_codes: ['*', 'US'],
          to_address: email,
          correlation_id: journey,
          job_journey: journey,
          event_journey: journey,
          handed_journey: journey,
          job_trace: `trace-${id}`,
          event_trace: `trace-${id}`,
        },
      ]);
    }
  });

  it('are duplicates of what the niche knew before, each by itself', async () => {
    const known = newLead({ phoneE164: '+14155550102' });
    await insertLeads(world.db, [known]);
    const leads = [newLead(), newLead({ emailNorm: known.emailNorm }), newLead({ phoneE164: known.phoneE164 })];
    const stored = await insertLeads(world.db, leads);
    expect(stored.map(({ duplicate }) => duplicate)).toEqual([false, true, true]);
    const { rows } = await world.db.query(sql`
      select aggregate_id as id, payload -> 'duplicate' as duplicate from ops.event_outbox
      where aggregate_id = any(${idsOf(leads)}::text[]) order by array_position(${idsOf(leads)}::text[], aggregate_id)`);
    expect(rows).toEqual(stored);
  });

  it('from one network address are flagged from the fifth on', async () => {
    const ip = '203.0.113.9';
    await insertLeads(world.db, many(2, { ip }));
    const leads = many(4, { ip });
    await insertLeads(world.db, leads);
    const { rows } = await world.db.query<{ id: string }>(sql`
      select id from lead where ip = ${ip}::inet and 'ip_many' = any(risk_flags)`);
    expect(rows.map(({ id }) => id).sort()).toEqual(idsOf(leads.slice(2)).sort());
  });

  it('under one idempotency key are stored once, also when two processes take them in', async () => {
    const keys = Array.from({ length: 30 }, () => randomUUID());
    const intakes = [openIntake(world.db), openIntake(world.db), openIntake(world.db)];
    const twins = intakes.map((_intake, at) =>
      (at % 2 === 0 ? keys : keys.toReversed()).map((idempotencyKey) => newLead({ idempotencyKey })),
    );
    const stored = await Promise.all(
      intakes.flatMap((intake, at) => (twins[at] ?? []).map((lead) => intake.store(lead))),
    );
    expect(stored.filter((lead) => lead !== undefined)).toHaveLength(keys.length);
    const { rows } = await world.db.query<{ key: string }>(
      sql`select idempotency_key as key from lead where niche_id = ${nicheId}`,
    );
    expect(rows.map(({ key }) => key).sort()).toEqual(keys.sort());
  });

  it('do not suffer from one that cannot be stored', async () => {
    const intake = openIntake(world.db);
    const leads = many(20).with(7, newLead({ ip: 'no address' }));
    const answers = await Promise.allSettled(leads.map((lead) => intake.store(lead)));
    expect(answers.flatMap(({ status }, at) => (status === 'rejected' ? at : []))).toEqual([7]);
    const { rows } = await world.db.query(sql`select 1 from lead where id = any(${idsOf(leads)}::uuid[])`);
    expect(rows).toHaveLength(19);
  });

  it('are looked up by index, however many leads there are', async () => {
    await insertLeads(world.db, many(3_000));
    for (const analyze of [false, true]) {
      if (analyze) await world.db.query(sql`analyze lead, email, ops.job_run`);
      expect(await indexesOf(world)).toEqual(lookups);
    }
  });

  it('are looked up so in a young database too, whose plans a connection keeps', async () => {
    const young = await openTestWorld();
    await insertLeads(young.db, many(8));
    expect(await indexesOf(young)).toEqual(lookups);
    await young.close();
  });
});
