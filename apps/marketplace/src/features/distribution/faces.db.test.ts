import { randomUUID } from 'node:crypto';
import { type Database, done, type Job, PermanentError, sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeUser } from '../../testing/auth.ts';
import { makeCredit } from '../../testing/billing.ts';
import { sellLead } from '../../testing/distribution.ts';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { makeLead } from '../../testing/leads.ts';
import { makeLevel, makeNiche, makeProvider, makeSubscription } from '../../testing/subscriptions.ts';
import { openTestWorld } from '../../testing/world.ts';
import { type DistributeLeadPayload, openDistributionHandler } from './jobs.ts';
import { distributionRoutes } from './routes.ts';
import { readSales } from './runs.ts';

let world: Awaited<ReturnType<typeof openTestWorld>>;
let db: Database;

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
});
afterAll(() => world.close());

async function leadWithBuyer(): Promise<string> {
  const niche = await makeNiche(db);
  const level = await makeLevel(db, { nicheId: niche.id });
  const provider = await makeProvider(db);
  await makeCredit(db, { providerId: provider.id }, world);
  await makeSubscription(db, { providerId: provider.id, levelId: level.id });
  return (await makeLead(db, { nicheId: niche.id })).id;
}

/** A job whose commit meets `conflicts` lock conflicts before it goes through, and tries again in place as the worker does. */
function job(leadId: string, conflicts = 0): Job<DistributeLeadPayload> {
  const runKey = `distribute-${leadId}-1`;
  return {
    queue: 'distribute_lead',
    kind: 'distribute_lead',
    payload: { v: 1, lead_id: leadId, sale_no: 1 },
    runKey,
    rootKey: runKey,
    attempt: 1,
    maxAttempts: 5,
    signal: new AbortController().signal,
    async commit(work) {
      for (let at = 0; at < conflicts; at += 1) {
        await db
          .transaction(async (tx) => {
            await work(tx);
            throw new Error('a conflict');
          })
          .catch(() => undefined);
      }
      return db.transaction(work);
    },
  };
}

describe('the job that sells a lead', () => {
  it('sells it, and says done; so it does the second time, for nothing', async () => {
    const leadId = await leadWithBuyer();
    const handle = openDistributionHandler(world);
    expect([await handle(job(leadId)), await handle(job(leadId))]).toEqual([done, done]);
    expect((await readSales(db, leadId)).assignments).toHaveLength(1);
  });

  it('counts each try in place, measures each attempt, and counts only what was committed', async () => {
    const leadId = await leadWithBuyer();
    const before = { ...world.metrics.counts };
    await openDistributionHandler(world)(job(leadId, 2));
    const moved = (name: string) => (world.metrics.counts[name] ?? 0) - (before[name] ?? 0);
    expect(moved('distributionLockRetries')).toBe(2);
    expect(moved('assignmentsCreated')).toBe(1);
    expect(moved('leadAssignmentLatencyMs')).toBe(1);
    expect(moved('leadAssignmentVerdicts.in_time')).toBe(1);
    expect(moved('billingOperationDurationMs.charge')).toBe(1);
    expect((await readSales(db, leadId)).assignments).toHaveLength(1);
  });

  it('fails for good when the lead is missing, and measures that too', async () => {
    const before = world.metrics.counts.distributionDurationMs ?? 0;
    await expect(openDistributionHandler(world)(job(randomUUID()))).rejects.toBeInstanceOf(PermanentError);
    expect(world.metrics.counts.distributionDurationMs).toBe(before + 1);
  });
});

describe('the runs of a lead', () => {
  it('are shown to the staff with the trace of each level, and to nobody else', async () => {
    const app = await openTestServer(world.log, { routes: (server) => distributionRoutes(server, { db }) });
    const leadId = await leadWithBuyer();
    await sellLead(db, leadId, world);
    const ask = async (id: string, role: 'admin' | 'provider') =>
      app.inject({ url: `/admin/leads/${id}/runs`, headers: signedInAs((await makeUser(db)).id, role) });
    const shown = await ask(leadId, 'admin');
    expect(shown.json().items).toMatchObject([
      {
        outcome: 'distributed',
        trigger: 'approved',
        assigned: 1,
        steps: [{ ord: 1, slots: 5, candidates: 1, served: 1, paused: 0 }],
      },
    ]);
    const page = async (query: string) =>
      (
        await app.inject({
          url: `/admin/leads/${leadId}/runs?limit=2${query}`,
          headers: signedInAs(randomUUID(), 'admin'),
        })
      ).json();
    await db.query(sql`
      insert into distribution_run (id, lead_id, sale_no, attempt, trigger, outcome, ms, correlation_id)
      select gen_random_uuid(), ${leadId}, 2, i, 'retry', 'unsold', 1, 'test' from generate_series(1, 60) i`);
    const first = await page('');
    const second = await page(`&cursor=${first.pagination.next_cursor}`);
    expect(
      [first, second].flatMap(({ items }) => items.map(({ attempt }: { attempt: number }) => attempt)).length,
    ).toBe(4);
    expect(new Set([...first.items, ...second.items].map(({ id }: { id: string }) => id)).size).toBe(4);
    expect(await readSales(db, leadId)).toMatchObject({ truncated: true, runs: { length: 50 } });
    expect((await ask(randomUUID(), 'admin')).statusCode).toBe(404);
    expect((await ask('1', 'admin')).statusCode).toBe(400);
    expect((await ask(leadId, 'provider')).statusCode).toBe(403);
    await app.close();
  });
});
