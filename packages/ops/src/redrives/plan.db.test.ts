import { afterEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { approveRedrive } from './index.ts';
import { ana, bo, bury, openRedrives, type Redrives } from './redrives.fixture.ts';

let opened: Redrives;
afterEach(() => opened.close());

describe('a plan', () => {
  it('freezes what matches now, counts it, and changes no letter', async () => {
    opened = await openRedrives({ touches: async () => ({ customers: 3 }) });
    await bury(opened, 3);
    await bury(opened, 2, { queue: 'other', fingerprint: 'v1_other' });
    const plan = await opened.plan({ filter: 'state:open queue:post,other' });
    expect(plan).toMatchObject({
      state: 'planned',
      filter: 'queue:mail,other state:open',
      matched: 5,
      included: 5,
      left_out: {},
      by_queue: { mail: 3, other: 2 },
      by_kind: { send: 5 },
      by_error: { v1_known: 3, v1_other: 2 },
      by_age: { under_1h: 5 },
      by_effect: { guarded: 5 },
      touches: { customers: 3 },
      destinations: ['mail', 'other'],
      estimate: { duration_s: 1, live_delay_s: 0 },
      created_by: { id: 'ana', name: 'Ana' },
      progress: { total: 5, planned: 5, enqueued: 0 },
      approval: { needed: false },
    });
    expect(plan.plan_hash).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(plan.samples).toHaveLength(5);
    const { rows } = await opened.db.query(sql`select distinct state, version from ops.dead_letter_queue`);
    expect(rows).toEqual([{ state: 'pending', version: 1 }]);
    expect(await opened.audits(plan.id)).toEqual(['redrive.planned']);
  });

  it('leaves out what cannot or must not be retried, and says how many', async () => {
    opened = await openRedrives();
    const [first, second] = await bury(opened, 4);
    await bury(opened, 1, { kind: 'charge', from: 10 });
    await bury(opened, 1, { kind: 'code', from: 20, ageS: 7_200 });
    await bury(opened, 1, { kind: 'unheard_of', from: 30 });
    await opened.db.query(sql`update ops.dead_letter_queue set state = 'retrying' where id = ${first}`);
    await opened.db.query(
      sql`update ops.dead_letter_queue set state = 'resolved', resolved_at = now() where id = ${second}`,
    );
    const { matched, included, left_out } = await opened.plan({ filter: 'queue:mail' });
    expect({ matched, included, left_out }).toEqual({
      matched: 7,
      included: 2,
      left_out: { already_retrying: 1, already_resolved: 1, unsafe: 1, past_safe_window: 1, target_refuses_kind: 1 },
    });
  });

  it.each([
    ['an empty filter', ''],
    ['a filter without a queue, stream, fingerprint or id', 'state:open kind:send'],
    ['a filter that only excludes', '-queue:mail'],
    ['a filter for any queue', 'queue:*'],
  ])('is refused for %s', async (_what, filter) => {
    opened = await openRedrives();
    await expect(opened.plan({ filter })).rejects.toMatchObject({ code: 'filter_too_wide', status: 400 });
  });

  it('is refused for a filter that cannot be read, and for a queue that is none', async () => {
    opened = await openRedrives();
    await expect(opened.plan({ filter: 'queue:mail colour:red' })).rejects.toMatchObject({ code: 'filter_invalid' });
    const options = { target_queue: 'nowhere' } as never;
    await expect(opened.plan({ filter: 'queue:mail', options })).rejects.toMatchObject({ code: 'validation_failed' });
  });

  it('keeps the meaning of relative times', async () => {
    opened = await openRedrives();
    await bury(opened, 2, { ageS: 7_200 });
    await bury(opened, 2, { from: 10 });
    const plan = await opened.plan({ filter: 'queue:mail age:>1h' });
    expect(plan.included).toBe(2);
    expect(plan.filter).toMatch(/^failed:<\d{4}-\d\d-\d\dT/);
  });

  it('takes letters by their ids, and counts those that nobody knows', async () => {
    opened = await openRedrives();
    const ids = await bury(opened, 2);
    const plan = await opened.plan({ ids: [...ids, '00000000-0000-4000-8000-000000000000'] });
    expect(plan).toMatchObject({ included: 2, left_out: { not_found: 1 }, filter: null });
  });

  it('above 10,000 letters is made by the engine', async () => {
    opened = await openRedrives();
    await bury(opened, 10_001);
    const plan = await opened.plan({ filter: 'queue:mail' });
    expect(plan).toMatchObject({ state: 'planning', included: null, plan_hash: null });
    await expect(opened.start(plan.id)).rejects.toMatchObject({ code: 'in_progress' });
    await opened.plane.start(opened.engine());
    expect(await opened.ended(plan.id, 'planned')).toMatchObject({ included: 10_001, by_queue: { mail: 10_001 } });
  });

  it('has the same hash for the same letters and options, and another for others', async () => {
    opened = await openRedrives();
    const [id = ''] = await bury(opened, 3);
    const hash = async (options = {}) =>
      (await opened.plan({ filter: 'queue:mail', options: options as never })).plan_hash;
    const first = await hash();
    expect(await hash()).toBe(first);
    expect(await hash({ rate: 3 })).not.toBe(first);
    await opened.db.query(sql`update ops.dead_letter_queue set version = 2 where id = ${id}`);
    expect(await hash()).not.toBe(first);
  });
});

describe('a start', () => {
  it('wins once, also in two tabs', async () => {
    opened = await openRedrives();
    await bury(opened, 2);
    const { id } = await opened.plan({ filter: 'queue:mail' });
    const starts = await Promise.allSettled([opened.start(id), opened.start(id, { actor: bo })]);
    expect(starts.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = starts.find((start) => start.status === 'rejected');
    expect(refused?.reason).toMatchObject({
      code: 'already_started',
      status: 409,
      details: { by: expect.any(String) },
    });
    expect(await opened.audits(id)).toEqual(['redrive.planned', 'redrive.started']);
  });

  it('is refused after 30 minutes, and the engine ends the plan', async () => {
    opened = await openRedrives();
    await bury(opened, 2);
    const { id } = await opened.plan({ filter: 'queue:mail' });
    await opened.db.query(sql`update ops.redrive set expires_at = now()`);
    await expect(opened.start(id)).rejects.toMatchObject({ code: 'plan_expired' });
    await opened.plane.start(opened.engine());
    await opened.ended(id, 'expired');
    await expect(opened.start(id)).rejects.toMatchObject({ code: 'plan_expired' });
  });

  it('is refused when over a tenth has changed, and says by whom; accepted, it skips those', async () => {
    opened = await openRedrives();
    const ids = await bury(opened, 10);
    const { id } = await opened.plan({ filter: 'queue:mail' });
    await opened.db.query(sql`
      update ops.dead_letter_queue set version = 2 where id = any (${ids.slice(0, 2)}::uuid[])`);
    await opened.db.query(sql`
      insert into ops.audit_log (actor, actor_name, via, action, target_type, target_id, correlation_id)
      values ('bo', 'Bo', 'http', 'dlq.entry_resolved', 'dead_letter', ${ids[0]}, 'none')`);
    await expect(opened.start(id)).rejects.toMatchObject({
      code: 'plan_drifted',
      details: { changed: 2, included: 10, by: ['Bo'] },
    });
    await opened.start(id, { accept_drift: true });
    await opened.plane.start(opened.engine());
    await opened.work(async () => ({ kind: 'done' }) as never);
    await opened.ended(id);
    expect(await opened.items(id)).toEqual([
      { outcome: 'skipped', why: 'version_changed', items: 2 },
      { outcome: 'succeeded', why: null, items: 8 },
    ]);
  });

  it('is refused for another hash or count than those of the plan', async () => {
    opened = await openRedrives();
    await bury(opened, 2);
    const { id } = await opened.plan({ filter: 'queue:mail' });
    await expect(opened.start(id, { plan_hash: 'sha256:other' })).rejects.toMatchObject({ code: 'plan_changed' });
    await expect(opened.start(id, { confirm_count: 3 })).rejects.toMatchObject({
      code: 'plan_changed',
      details: { included: 2 },
    });
  });

  it('of unsafe kinds needs the approval of another person', async () => {
    opened = await openRedrives();
    await bury(opened, 2, { kind: 'charge' });
    const { id, approval } = await opened.plan({ filter: 'queue:mail', options: { include_unsafe: true } as never });
    expect(approval).toEqual({ needed: true, because: 'unsafe' });
    await expect(opened.start(id)).rejects.toMatchObject({ code: 'approval_needed', status: 422 });
    const approve = (actor = ana) => opened.write((tx) => approveRedrive(tx, { id, actor }));
    await expect(approve()).rejects.toMatchObject({ code: 'self_approval', status: 403 });
    expect(await approve(bo)).toEqual({ already: false });
    expect(await approve(bo)).toEqual({ already: true });
    await opened.start(id);
    expect(await opened.audits(id)).toEqual(['redrive.planned', 'redrive.approved', 'redrive.started']);
  });

  it('skips letters that another redrive holds: none is in two', async () => {
    opened = await openRedrives();
    const ids = await bury(opened, 10);
    const first = await opened.plan({ filter: 'queue:mail' });
    const second = await opened.plan({ ids: ids.slice(0, 3) });
    await opened.start(first.id);
    await expect(opened.start(second.id)).rejects.toMatchObject({
      code: 'plan_drifted',
      details: { held_by_redrives: 3 },
    });
    await opened.start(second.id, { accept_drift: true });
    expect(await opened.items(second.id)).toEqual([{ outcome: 'skipped', why: 'held_by_redrive', items: 3 }]);
  });
});
