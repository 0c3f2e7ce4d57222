import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { queueMissingMails } from './features/distribution/index.ts';
import { queueMail, requeueMails } from './features/email/index.ts';
import { sellLead } from './testing/distribution.ts';
import { openTestWorld, type TestWorld } from './testing/world.ts';

let world: TestWorld;
beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world.close());

const promise = () => world.db.transaction((tx) => queueMissingMails(tx, { limit: 10 }));
const requeue = () => world.db.transaction((tx) => requeueMails(tx, { limit: 10 }));

describe('an assignment that lost its mail', () => {
  it('gets one after five minutes, under the correlation of its lead, once', async () => {
    const niche = await world.make.niche();
    const level = await world.make.level({ nicheId: niche.id });
    const provider = await world.make.provider();
    await world.make.credit({ providerId: provider.id });
    await world.make.subscription({ providerId: provider.id, levelId: level.id });
    const lead = await world.make.lead({ nicheId: niche.id });
    await sellLead(world.db, lead.id, world);
    const mails = async () => (await world.db.query(sql`select variables from email where template = 'new_lead'`)).rows;
    const told = await mails();
    expect(told).toHaveLength(1);

    await world.db.query(sql`delete from email where template = 'new_lead'`);
    expect(await promise()).toBe(0);
    await world.db.query(sql`alter table assignment disable trigger user`);
    await world.db.query(sql`update assignment set assigned_at = now() - interval '6 minutes'`);
    expect([await promise(), await promise()]).toEqual([1, 0]);
    expect(await mails()).toEqual(told);
    const { rows } = await world.db.query(sql`
      select r.correlation_id from email e join ops.job_run r on r.run_key = 'email-' || e.id where e.template = 'new_lead'`);
    expect(rows).toEqual([{ correlation_id: lead.correlationId }]);
  });
});

describe('a mail that waits', () => {
  async function waiting({ minutes = 6, status = 'queued' } = {}): Promise<string> {
    const dedupeKey = `welcome:${randomUUID()}`;
    await world.db.transaction((tx) =>
      queueMail(tx, { template: 'welcome', variables: {}, to: 'someone@example.com', dedupeKey }),
    );
    const { rows } = await world.db.query<{ id: string }>(sql`
      update email set status = ${status}, sent_at = case when ${status} = 'sent' then now() end,
                       updated_at = now() - ${minutes}::int * interval '1 minute'
      where dedupe_key = ${dedupeKey} returning id`);
    return rows[0]?.id ?? '';
  }
  const lose = (id: string) =>
    world.db.query(sql`
      with handed as (delete from ops.job_outbox where run_key = ${`email-${id}`})
      delete from ops.job_run where run_key = ${`email-${id}`}`);

  it('without a run gets one after five minutes, once', async () => {
    const lost = [await waiting(), await waiting({ status: 'sending' })];
    for (const id of lost) await lose(id);
    expect([await requeue(), await requeue()]).toEqual([2, 0]);
    const { rows } = await world.db.query(
      sql`select state from ops.job_run where run_key = any(${lost.map((id) => `email-${id}`)})`,
    );
    expect(rows).toEqual([{ state: 'enqueued' }, { state: 'enqueued' }]);
  });

  it('is left alone with a run, living or dead, while young, and when it has ended', async () => {
    await waiting();
    const dead = await waiting();
    await world.db.query(sql`
      update ops.job_run set state = 'dead', finished_at = now(), died_at = now(), cause = 'test' where run_key = ${`email-${dead}`}`);
    await lose(await waiting({ minutes: 1 }));
    await lose(await waiting({ status: 'sent' }));
    expect(await requeue()).toBe(0);
  });
});
