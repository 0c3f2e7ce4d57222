import { randomUUID } from 'node:crypto';
import { sql, type Tx } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { type MailDraft, mailParts, queueMail, queueMails } from './index.ts';

let world: TestWorld;

beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world.close());

const draft = (more: { to?: string; dedupeKey?: string } = {}): MailDraft => ({
  template: 'subscriptions_paused',
  variables: { count: 2 },
  to: `p-${randomUUID()}@example.com`,
  dedupeKey: `paused:${randomUUID()}`,
  ...more,
});
const queued = (drafts: MailDraft[]) => world.db.transaction((tx) => queueMails(tx, drafts));

async function mailsOf(dedupeKey: string) {
  const { rows } = await world.db.query(sql`
    select e.status, e.template, e.template_version, e.variables, r.run_key = 'email-' || e.id as has_job, r.priority,
           o.envelope::jsonb -> 'body' = jsonb_build_object('v', 1, 'email_id', e.id) as names_the_row
    from email e left join ops.job_run r on r.run_key = 'email-' || e.id left join ops.job_outbox o on o.run_key = r.run_key
    where e.dedupe_key = ${dedupeKey}`);
  return rows;
}

describe('a queued mail', () => {
  it('is one row and one job that names it', async () => {
    const mail = draft();
    expect(await world.db.transaction((tx) => queueMail(tx, mail))).toBe(true);
    expect(await mailsOf(mail.dedupeKey)).toEqual([
      {
        status: 'queued',
        template: 'subscriptions_paused',
        template_version: 1,
        variables: { count: 2 },
        has_job: true,
        priority: 10,
        names_the_row: true,
      },
    ]);
  });

  it('of the same key is absorbed, also by twenty at once', async () => {
    const dedupeKey = `paused:${randomUUID()}`;
    const answers = await Promise.all(Array.from({ length: 20 }, () => queued([draft({ dedupeKey })])));
    expect(answers.reduce((sum, count) => sum + count)).toBe(1);
    expect(await mailsOf(dedupeKey)).toMatchObject([{ status: 'queued', has_job: true }]);
  });

  it('among others gets its own job, and only those that are new do', async () => {
    const known = draft();
    await queued([known]);
    const { rows: before } = await world.db.query<{ runs: number }>(sql`select count(*)::int as runs from ops.job_run`);
    const fresh = [draft(), draft()];
    const twice = draft();
    expect(await queued([...fresh, { ...known, to: 'other@example.com' }, twice, twice])).toBe(3);
    const { rows: after } = await world.db.query<{ runs: number }>(sql`select count(*)::int as runs from ops.job_run`);
    expect((after[0]?.runs ?? 0) - (before[0]?.runs ?? 0)).toBe(3);
    for (const { dedupeKey } of [...fresh, twice]) expect(await mailsOf(dedupeKey)).toMatchObject([{ has_job: true }]);
    expect(await queued([])).toBe(0);
  });

  it('to an address that takes none is written and not sent', async () => {
    await world.db.query(
      sql`insert into email_suppression (address, reason) values ('gone@example.com', 'mailbox_refused')`,
    );
    const [gone, fine] = [draft({ to: 'Gone@Example.com' }), draft()];
    expect(await queued([gone, fine])).toBe(2);
    expect(await mailsOf(gone.dedupeKey)).toMatchObject([{ status: 'suppressed', has_job: null }]);
    expect(await mailsOf(fine.dedupeKey)).toMatchObject([{ status: 'queued', has_job: true }]);
  });

  it('of a transaction that fails leaves nothing', async () => {
    const mail = draft();
    const failing = world.db.transaction(async (tx: Tx) => {
      await queueMail(tx, mail);
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await mailsOf(mail.dedupeKey)).toEqual([]);
  });

  it('within a larger statement follows its condition', async () => {
    const [never, always] = [draft(), draft()];
    const insert = (mail: MailDraft, when: boolean) =>
      world.db.query(sql`with decision as (select where ${when}), ${mailParts([mail], sql`from decision`)} select 1`);
    await insert(never, false);
    await insert(always, true);
    expect([await mailsOf(never.dedupeKey), await mailsOf(always.dedupeKey)]).toMatchObject([[], [{ has_job: true }]]);
  });

  it.each([
    ['several addresses', { to: 'a@example.com, b@example.com' }],
    ['a line end in its address', { to: 'a@example.com\r\nBcc: b@example.com' }],
    ['no address', { to: '' }],
    ['no key', { dedupeKey: '' }],
  ])('with %s is an error of the caller', async (_what, fault) => {
    await expect(queued([draft(fault)])).rejects.toThrow(TypeError);
  });
});
