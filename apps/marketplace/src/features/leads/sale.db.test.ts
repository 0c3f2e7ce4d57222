import { randomUUID } from 'node:crypto';
import { raw, sql, type Tx } from '@fmhl/ops';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LeadOverrides } from '../../testing/leads.ts';
import { nth } from '../../testing/nth.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import {
  finishSale,
  leadForSale,
  leadInvariants,
  type LeadForSale,
  requeueApproved,
  requeueStuck,
  type SaleEnd,
  stampLateSales,
} from './index.ts';

let world: TestWorld;
let nicheId: string;

beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  // Loops look at all leads: what an earlier test left must not be found.
  await world.db.query(sql`update lead set is_test = true`);
  nicheId = (await world.make.niche()).id;
});

const make = (overrides: Partial<LeadOverrides> = {}) => world.make.lead({ nicheId, ...overrides });
const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);

const lockLead = async (tx: Tx, id: string) => (await tx.query<LeadForSale>(leadForSale(id))).rows[0];

async function finish(id: string, end: Partial<SaleEnd> = {}) {
  return world.db.transaction(async (tx) => {
    const lead = await lockLead(tx, id);
    if (!lead) throw new Error('no such lead');
    const outcome = { startOrd: 2, assignedCount: 0, recipientCap: null, offered: 3, now: new Date(), ...end };
    return finishSale(tx, { lead, ...outcome }, { log: world.log });
  });
}

async function read(id: string) {
  const { rows } = await world.db.query(sql`
    select status, version, sale_no, sale_trigger, start_ord, assigned_count, recipient_cap, unsold_tries, sale_verdict,
           distributed_at is not null as distributed, round(extract(epoch from next_try_at - clock_timestamp()) / 60)::int as next_in,
           (select array_agg(type order by id) from ops.event_outbox where aggregate_id = lead.id::text) as events,
           (select array_agg(run_key::text order by enqueued_at) from ops.job_run where run_key like 'distribute-' || lead.id || '-%') as jobs
    from lead where id = ${id}`);
  return rows[0];
}

async function plan(id: string, saleNo: number, state: 'enqueued' | 'done' | 'dead') {
  await world.db.query(sql`
    insert into ops.job_run (run_key, root_key, queue, kind, max_attempts, correlation_id, state, finished_at, died_at, cause)
    values (${`distribute-${id}-${saleNo}`}, 'root', 'distribute_lead', 'distribute_lead', 5, 'test', ${state},
            ${state === 'enqueued' ? null : new Date()}, ${state === 'dead' ? new Date() : null},
            ${state === 'dead' ? 'test' : null})`);
}

describe('a sale', () => {
  it('that found buyers distributes the lead, in time', async () => {
    const { id } = await make({ approvedAt: new Date() });
    const record = await finish(id, { assignedCount: 3, recipientCap: 3 });
    expect(record).toMatchObject({ status: 'distributed', version: 2, nextTryAt: null, verdict: 'in_time' });
    expect(record.latencyMs).toBeGreaterThanOrEqual(0);
    expect(await read(id)).toMatchObject({
      status: 'distributed',
      version: 2,
      sale_no: 1,
      start_ord: 2,
      assigned_count: 3,
      recipient_cap: 3,
      distributed: true,
      sale_verdict: 'in_time',
      events: ['lead.distributed'],
      jobs: null,
    });
    const { rows } = await world.db.query(sql`select payload from ops.event_outbox where aggregate_id = ${id}`);
    expect(rows).toEqual([{ payload: { lead_id: id, niche_id: nicheId, start_ord: 2, assigned: 3, offered: 3 } }]);
  });

  it('that found none plans the next under a new number, later each time, until there were enough', async () => {
    const { id, correlationId } = await make({ approvedAt: new Date() });
    const waits: unknown[] = [];
    for (let tries = 1; tries <= 4; tries += 1) {
      const { status, verdict } = await finish(id);
      waits.push([status, verdict, (await read(id))?.next_in]);
    }
    expect(waits).toEqual([
      ['unsold', 'in_time', 15],
      ['unsold', undefined, 60],
      ['unsold', undefined, 360],
      ['unsold', undefined, 1440],
    ]);
    expect(await finish(id)).toMatchObject({ status: 'expired', nextTryAt: null });
    expect(await read(id)).toMatchObject({
      status: 'expired',
      version: 6,
      sale_no: 5,
      unsold_tries: 5,
      sale_trigger: 'retry',
      next_in: null,
      events: [...Array(4).fill('lead.unsold'), 'lead.expired'],
      jobs: [2, 3, 4, 5].map((saleNo) => `distribute-${id}-${saleNo}`),
    });
    const { rows } = await world.db.query(sql`
      select correlation_id, round(extract(epoch from run_at - enqueued_at) / 60)::int as wait from ops.job_run where run_key = ${`distribute-${id}-2`}`);
    expect(rows).toMatchObject([{ wait: 15 }]);
    expect(correlationId).toContain(id);
  });

  it('that comes too late is a late one, once', async () => {
    const { id } = await make({ approvedAt: minutesAgo(3) });
    expect((await finish(id)).verdict).toBe('late');
    expect((await finish(id, { assignedCount: 1, recipientCap: 1 })).verdict).toBeUndefined();
    expect(await read(id)).toMatchObject({ status: 'distributed', sale_verdict: 'late' });
  });

  it('cannot promise more than its levels: the database refuses', async () => {
    const { id } = await make();
    await expect(finish(id, { assignedCount: 4, recipientCap: 3 })).rejects.toMatchObject({ code: '23514' });
    expect(await read(id)).toMatchObject({ status: 'approved', version: 1 });
  });

  it('holds its lead against another one', async () => {
    const { id } = await make();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, () =>
        world.db.transaction(async (tx) => {
          const lead = await lockLead(tx, id);
          if (lead?.status !== 'approved') return 'noop';
          const end = { lead, startOrd: 1, assignedCount: 1, recipientCap: 1, offered: 1, now: new Date() };
          return (await finishSale(tx, end, { log: world.log })).status;
        }),
      ),
    );
    expect(
      outcomes.filter((outcome) => outcome.status === 'fulfilled' && outcome.value === 'distributed'),
    ).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome.status === 'rejected')).toEqual([]);
  });
});

describe('a niche that sells again', () => {
  it('gets its waiting leads sold under new numbers, each under its own correlation', async () => {
    const waiting = await make();
    const due = await make({ status: 'unsold', nextTryAt: minutesAgo(1) });
    const others = [
      await make({ status: 'unsold', nextTryAt: new Date(Date.now() + 60_000) }),
      await make({ isTest: true }),
      await make({ status: 'pending_approval' }),
      await world.make.lead({ nicheId: randomUUID() }),
    ];
    expect(await world.db.transaction((tx) => requeueApproved(tx, nicheId))).toBe(2);
    for (const { id, correlationId } of [waiting, due]) {
      const { rows } = await world.db.query(
        sql`select correlation_id, state from ops.job_run where run_key = ${`distribute-${id}-2`}`,
      );
      expect(rows).toEqual([{ correlation_id: correlationId, state: 'enqueued' }]);
    }
    for (const { id } of others) expect(await read(id)).toMatchObject({ jobs: null });
    expect(await read(waiting.id)).toMatchObject({ sale_trigger: 'retry' });
  });

  it('leaves what is no longer on offer, and what died: its letter decides, also when it was discarded', async () => {
    await make({ approvedAt: minutesAgo(72 * 60 + 1) });
    await plan((await make()).id, 1, 'dead');
    const paused = await make();
    await plan(paused.id, 1, 'dead');
    await world.db.query(sql`
      insert into distribution_run (id, lead_id, sale_no, trigger, outcome, attempt, ms, correlation_id)
      values (gen_random_uuid(), ${paused.id}, 1, 'approved', 'niche_paused', 1, 1, 'test')`);
    expect(await world.db.transaction((tx) => requeueApproved(tx, nicheId))).toBe(1);
    expect(await read(paused.id)).toMatchObject({ sale_no: 2 });
  });

  it('plans many at once', async () => {
    const one = await make();
    await world.db.query(sql`
      insert into lead (id, niche_id, status, approved_at, sale_no, correlation_id, confirm_expires_at)
      select gen_random_uuid(), ${nicheId}, 'approved', now(), 1, 'lead-' || i, now() from generate_series(1, 1000) i`);
    const statements = await world.db.transaction(async (tx) => {
      let count = 0;
      const query: typeof tx.query = (statement) => {
        count += 1;
        return tx.query(statement);
      };
      expect(await requeueApproved({ ...tx, query, wake: (topic) => tx.wake(topic) }, nicheId)).toBe(1_001);
      return count;
    });
    expect(statements).toBe(4);
    expect((await read(one.id))?.jobs).toEqual([`distribute-${one.id}-2`]);
  });
});

describe('a lead that waits for a sale nobody starts', () => {
  const sweep = () => world.db.transaction((tx) => requeueStuck(tx, { limit: 10 }));
  const old = async (overrides: Partial<LeadOverrides> = {}) => {
    const lead = await make({ approvedAt: minutesAgo(3), ...overrides });
    await world.db.query(sql`update lead set updated_at = ${minutesAgo(3)} where id = ${lead.id}`);
    return lead;
  };

  it('is put up for sale again after two minutes, once', async () => {
    const lost = await old();
    const ended = await old();
    await plan(ended.id, 1, 'done');
    const overdue = await old({ status: 'unsold', saleNo: 4, nextTryAt: minutesAgo(3) });
    expect(await sweep()).toBe(3);
    expect((await read(lost.id))?.jobs).toEqual([`distribute-${lost.id}-2`]);
    expect((await read(ended.id))?.jobs).toEqual([`distribute-${ended.id}-1`, `distribute-${ended.id}-2`]);
    expect((await read(overdue.id))?.jobs).toEqual([`distribute-${overdue.id}-5`]);
    expect(await sweep()).toBe(0);
  });

  it('is left alone once it is no longer on offer: the death of its sale may have been decided about and forgotten', async () => {
    const forgotten = await old({ approvedAt: minutesAgo(31 * 24 * 60) });
    const onOffer = await old({ approvedAt: minutesAgo(71 * 60) });
    expect(await sweep()).toBe(1);
    expect((await read(forgotten.id))?.jobs).toBeNull();
    const { rows: found } = await world.db.query(sql`select l.lead_id from (${raw(nth(leadInvariants, 0).sql)}) l`);
    expect(found).not.toContainEqual({ lead_id: forgotten.id });
    expect(await read(onOffer.id)).toMatchObject({ sale_no: 2 });
  });

  it('is left alone while it is young, while a run lives or has died, and when a run is on record', async () => {
    await make({ approvedAt: minutesAgo(1) });
    await plan((await old()).id, 1, 'enqueued');
    await plan((await old()).id, 1, 'dead');
    await old({ isTest: true });
    await old({ status: 'unsold', nextTryAt: new Date(Date.now() + 60_000) });
    expect(await sweep()).toBe(0);
  });

  it('is counted as late after a minute, once', async () => {
    const { id } = await make({ approvedAt: minutesAgo(2) });
    await make({ approvedAt: new Date() });
    const { counts } = world.metrics;
    const before = counts['leadAssignmentVerdicts.late'] ?? 0;
    const stamp = () => world.db.transaction((tx) => stampLateSales(tx, { limit: 10 }, world));
    expect([await stamp(), await stamp()]).toEqual([1, 0]);
    expect(await read(id)).toMatchObject({ sale_verdict: 'late', version: 1 });
    expect(counts['leadAssignmentVerdicts.late']).toBe(before + 1);
  });
});

describe('a consent', () => {
  it('can neither be changed nor deleted', async () => {
    const { id } = await make();
    for (const change of [
      sql`update lead_consent set text_version = 2 where lead_id = ${id}`,
      sql`delete from lead_consent where lead_id = ${id}`,
      sql`truncate lead_consent`,
    ]) {
      await expect(world.db.query(change)).rejects.toMatchObject({ code: '23001' });
    }
  });
});
