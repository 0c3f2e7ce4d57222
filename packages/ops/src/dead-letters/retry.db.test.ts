import { afterEach, describe, expect, it } from 'vitest';
import { audit, systemActor } from '../audit/index.ts';
import { raw, sql } from '../postgres/index.ts';
import { enqueue } from '../queues/index.ts';
import { pollUntil } from '../testing/index.ts';
import { captureRemoved, closeLetter, readStock, retainLetters } from './index.ts';
import { ana, breakable, openLetters, work } from './letters.fixture.ts';

let opened: Awaited<ReturnType<typeof openLetters>>;
afterEach(() => opened.plane.close());

/** A plane on which `task-1` died. The worker runs what is retried. */
async function openDead(options?: Parameters<typeof openLetters>[0]) {
  opened = await openLetters(options);
  const { plane, plan, letterOf } = opened;
  const { state, handler } = breakable();
  await plane.run({ work: handler, spare: handler });
  await plan(1);
  return { ...opened, state, letter: await letterOf('task-1') };
}

describe('a retry', () => {
  it('runs the same work again, and its success closes the letter in the commit of the effect', async () => {
    const { retry, state, letter, letterOf, effects, audits, plane } = await openDead();
    state.broken = false;
    const { jobId } = await retry(letter.id, { reason: 'the host is back' });
    expect(jobId).toBe(`dlq-${letter.id}-r1`);
    expect(await letterOf('task-1', 'resolved')).toMatchObject({
      generation: 1,
      resolved: true,
      resolved_by: null,
      resolution: { how: 'retried', run_key: jobId },
    });
    expect(await effects()).toEqual([{ root: 'task-1', times: 1 }]);
    const { rows } = await plane.db.query(
      sql`select root_key, dlq_id, priority from ops.job_run where run_key = ${jobId}`,
    );
    expect(rows).toEqual([{ root_key: 'task-1', dlq_id: letter.id, priority: 1_000_000 }]);
    expect(await audits('dlq.job_retried')).toMatchObject([
      { actor: ana.id, target_id: letter.id, reason: 'the host is back' },
    ]);
  });

  it('that dies puts the same letter back, with its history', async () => {
    const { retry, letter, letters, plane, state } = await openDead();
    await retry(letter.id);
    await pollUntil(async () => (await letters())[0]?.state === 'pending' && (await letters())[0]?.generation === 1);
    const [again] = await letters();
    expect(again).toMatchObject({ id: letter.id, attempts: 4, first_failed_at: letter.first_failed_at });
    expect(await letters()).toHaveLength(1);
    expect(state.runs).toBe(4);
    expect(await readStock(plane.db)).toMatchObject([{ captured: 1, open: 1, resolved: 0 }]);
  });

  it('is won by one of fifty who ask at once; the others learn who was first', async () => {
    const { retry, letter, audits, effects, state, letterOf } = await openDead();
    state.broken = false;
    const answers = await Promise.allSettled(Array.from({ length: 50 }, () => retry(letter.id)));
    const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []));
    expect(refused).toHaveLength(49);
    for (const refusal of refused) expect(refusal).toMatchObject({ status: 409, details: { by: 'Ana' } });
    await letterOf('task-1', 'resolved');
    expect(await audits('dlq.job_retried')).toHaveLength(1);
    expect(await effects()).toEqual([{ root: 'task-1', times: 1 }]);
  });

  it('races with resolve and discard: one of them wins', async () => {
    const { retry, letter, plane, letters } = await openDead();
    const close = (action: 'resolve' | 'discard') =>
      plane.db.transaction((tx) => closeLetter(tx, { id: letter.id, action, actor: ana, reason: 'not needed' }));
    const answers = await Promise.allSettled([
      ...Array.from({ length: 10 }, () => retry(letter.id)),
      ...Array.from({ length: 10 }, () => close('resolve')),
      ...Array.from({ length: 10 }, () => close('discard')),
    ]);
    const { rows } = await plane.db.query(
      sql`select action from ops.audit_log where target_id = ${letter.id} and action like 'dlq.%'`,
    );
    expect(rows).toHaveLength(1);
    expect(answers.some(({ status }) => status === 'fulfilled')).toBe(true);
    expect(await letters()).toHaveLength(1);
  });

  it('of a closed letter is refused, and names who closed it', async () => {
    const { retry, letter, plane } = await openDead();
    await plane.db.transaction((tx) =>
      closeLetter(tx, { id: letter.id, action: 'discard', actor: ana, reason: 'not needed' }),
    );
    await expect(retry(letter.id)).rejects.toMatchObject({
      code: 'already_resolved',
      details: { by: 'Ana', reason: 'not needed' },
    });
  });

  it('runs in another queue that accepts the kind, and its death comes back to the same letter', async () => {
    const { retry, letter, letters, plane } = await openDead();
    await retry(letter.id, { targetQueue: 'spare', reason: 'the other pool works' });
    await pollUntil(async () => (await letters())[0]?.generation === 1 && (await letters())[0]?.state === 'pending');
    expect(await letters()).toHaveLength(1);
    const { rows } = await plane.db.query(sql`select queue from ops.job_run where dlq_id = ${letter.id}`);
    expect(rows).toEqual([{ queue: 'spare' }]);
    await expect(retry(letter.id, { targetQueue: 'nowhere', reason: 'let me try' })).rejects.toMatchObject({
      code: 'target_refuses_kind',
      details: { accepted_by: ['work', 'spare'] },
    });
  });

  it('says what it would do, and does nothing, when it is a dry run', async () => {
    const { retry, letter, letters, audits } = await openDead();
    expect(await retry(letter.id, { dryRun: true })).toMatchObject({ queue: 'work', kind: 'task', generation: 1 });
    expect((await letters())[0]).toMatchObject({ state: 'pending', version: letter.version });
    expect(await audits('dlq.job_retried')).toEqual([]);
  });
});

describe('a retry that is removed before it ran', () => {
  it('leaves the letter discarded with the error it died of, and its item of a redrive cancelled', async () => {
    const { retry, letter, plane, letters } = await openDead();
    const { jobId } = await retry(letter.id, { delayMs: 3_600_000 });
    await plane.db.query(sql`
      with redrive as (
        insert into ops.redrive (name, action, state, options, created_by, created_by_name, correlation_id)
        values ('one', 'retry', 'running', '{}', 'ana', 'Ana', 'journey-1') returning id)
      insert into ops.redrive_item (redrive_id, ord, letter_id, letter_version, outcome, generation)
      select id, 1, ${letter.id}::uuid, 1, 'enqueued', 1 from redrive`);
    const options = { actor: ana, reason: 'not that way', queue: 'work', workerId: ana.id, hooks: {} };
    const removed = await plane.db.transaction((tx) => captureRemoved(tx, jobId, options));
    expect(removed).toEqual({ letterId: letter.id });
    const { error_message, error_type, fingerprint, cause, failed_at } = letter;
    expect(await letters()).toMatchObject([
      { state: 'discarded', error_message, error_type, fingerprint, cause, failed_at },
    ]);
    const { rows } = await plane.db.query(sql`select outcome, why, new_fingerprint from ops.redrive_item`);
    expect(rows).toEqual([{ outcome: 'cancelled', why: 'removed', new_fingerprint: null }]);
    expect(await readStock(plane.db)).toMatchObject([{ captured: 1, open: 0, discarded: 1 }]);
  });
});

describe('a retry with an edited payload', () => {
  const sha = '2bfd14f43d17fc7cea24e0917a8879b4b2f880b8baeec1b9d90fbaad655e71bd';
  const patch = [{ op: 'replace', path: '/n', value: 2 }] as const;

  it('runs with it, keeps the original, and records hashes and paths, never values', async () => {
    const { retry, letter, state, letterOf, plane, audits } = await openDead();
    state.broken = false;
    await retry(letter.id, { patch, reason: 'wrong number', expectedSha256: sha });
    await letterOf('task-1', 'resolved');
    const { rows } = await plane.db.query(
      sql`select version, body, changed from ops.dead_letter_payload order by version`,
    );
    expect(rows).toEqual([
      { version: 0, body: '{"n":1}', changed: null },
      { version: 1, body: '{"n":2}', changed: ['/n'] },
    ]);
    const [row] = await audits('dlq.job_retried');
    expect(row?.details).toMatchObject({ changed: ['/n'], payload_sha256: { before: sha } });
  });

  it.each<[string, object, object]>([
    ['no reason', { patch, expectedSha256: sha }, { code: 'reason_required' }],
    [
      'the hash of another payload',
      { patch, reason: 'wrong number', expectedSha256: 'a'.repeat(64) },
      { code: 'version_changed' },
    ],
    [
      'a result that breaks the schema',
      { patch: [{ op: 'replace', path: '/n', value: 'two' }], reason: 'wrong number', expectedSha256: sha },
      { code: 'payload_invalid', details: { faults: [{ at: 'n' }] } },
    ],
    [
      'a path that is not there',
      { patch: [{ op: 'replace', path: '/m', value: 2 }], reason: 'wrong number', expectedSha256: sha },
      { code: 'patch_failed', details: { at: 0, path: '/m' } },
    ],
  ])('is refused with %s', async (_what, ask, refusal) => {
    const { retry, letter } = await openDead();
    await expect(retry(letter.id, ask)).rejects.toMatchObject(refusal);
  });

  it('is needed where the payload is no JSON, and replaces it whole', async () => {
    const { plane, retry, letter, state, letterOf } = await openDead();
    await plane.db.query(sql`update ops.dead_letter_payload set body = '{"n":', sha256 = repeat('a', 64)`);
    await plane.db.query(sql`update ops.dead_letter_queue set payload = null`);
    const ask = { reason: 'it was cut', expectedSha256: 'a'.repeat(64) };
    await expect(retry(letter.id)).rejects.toMatchObject({ code: 'payload_invalid' });
    await expect(retry(letter.id, { ...ask, patch })).rejects.toMatchObject({ code: 'patch_failed' });
    state.broken = false;
    await retry(letter.id, { ...ask, patch: [{ op: 'replace', path: '', value: { n: 3 } }] });
    await letterOf('task-1', 'resolved');
  });
});

describe('a kind that does harm when it is repeated', () => {
  const pay = async () => {
    const { plane, letterOf, retry } = (opened = await openLetters());
    await plane.run({ work: breakable().handler });
    await plane.db.transaction((tx) => enqueue(tx, work, 'pay', { cents: 500, memo: 'x' }, { key: 'pay-1' }));
    return { retry, letter: await letterOf('pay-1'), plane };
  };

  it('is retried only with a reason and its name', async () => {
    const { retry, letter } = await pay();
    await expect(retry(letter.id)).rejects.toMatchObject({
      code: 'approval_needed',
      details: { needs: { confirm: 'pay' } },
    });
    await expect(retry(letter.id, { reason: 'the first one failed', confirm: 'pay' })).resolves.toMatchObject({
      generation: 1,
    });
  });

  it('refuses an edit of what it locks', async () => {
    const { retry, letter, plane } = await pay();
    const { rows } = await plane.db.query<{ sha256: string }>(sql`select sha256 from ops.dead_letter_payload`);
    const ask = { reason: 'too much', confirm: 'pay', expectedSha256: rows[0]?.sha256 ?? '' };
    const edit = (path: string, value: unknown) =>
      retry(letter.id, { ...ask, patch: [{ op: 'replace', path, value }] });
    await expect(edit('/cents', 1)).rejects.toMatchObject({ code: 'path_locked', details: { path: '/cents' } });
    await expect(edit('', { cents: 1, memo: 'x' })).rejects.toMatchObject({ code: 'path_locked' });
    await expect(edit('/memo', 'y')).resolves.toMatchObject({ generation: 1 });
  });
});

describe('closing a letter', () => {
  it('can be said twice, keeps the first reason, and is undone by restoring', async () => {
    const { plane, letter, letters, audits } = await openDead();
    const close = (action: 'resolve' | 'discard' | 'restore', reason: string) =>
      plane.db.transaction((tx) => closeLetter(tx, { id: letter.id, action, actor: ana, reason }));
    expect(await close('resolve', 'done by hand')).toEqual({ already: false });
    expect(await close('resolve', 'me too')).toEqual({ already: true });
    expect((await letters())[0]).toMatchObject({
      state: 'resolved',
      resolved_by: ana.id,
      resolution: { how: 'manual', by_name: 'Ana', reason: 'done by hand' },
    });
    await expect(close('discard', 'no, this')).rejects.toMatchObject({ code: 'already_resolved' });
    expect(await audits('dlq.entry_resolved')).toHaveLength(1);
    expect(await close('restore', 'not done after all')).toEqual({ already: false });
    expect((await letters())[0]).toMatchObject({ state: 'pending', resolved_at: null, resolution: null });
    await expect(close('restore', 'again please')).resolves.toEqual({ already: true });
    expect(await readStock(plane.db)).toMatchObject([{ captured: 1, open: 1, resolved: 0, discarded: 0 }]);
  });

  it('cannot undo what a run has done', async () => {
    const { retry, letter, state, letterOf, plane } = await openDead();
    state.broken = false;
    await retry(letter.id);
    await letterOf('task-1', 'resolved');
    const restoring = plane.db.transaction((tx) =>
      closeLetter(tx, { id: letter.id, action: 'restore', actor: ana, reason: 'once more' }),
    );
    await expect(restoring).rejects.toMatchObject({ code: 'done_by_run' });
  });
});

describe('retention', () => {
  it('removes letters closed 30 days ago with all that hangs on them, never an open one', async () => {
    const { plane, letter, plan, letters, letterOf } = await openDead();
    await plan(2);
    await letterOf('task-2');
    await plane.db.transaction((tx) =>
      closeLetter(tx, { id: letter.id, action: 'resolve', actor: ana, reason: 'done by hand' }),
    );
    await plane.db.query(
      sql`update ops.dead_letter_queue set resolved_at = resolved_at - interval '31 days' where resolved`,
    );
    await plane.db.query(
      sql`update ops.dead_letter_queue set failed_at = failed_at - interval '90 days' where not resolved`,
    );
    expect(await retainLetters(plane.db, new AbortController().signal)).toEqual({
      deleted: 1,
      'deleted.work': 1,
      held: 0,
      open_over_30_days: 1,
    });
    expect(await letters()).toMatchObject([{ root_key: 'task-2' }]);
    expect((await plane.db.query(sql`select root_key from ops.job_run`)).rows).toEqual([{ root_key: 'task-2' }]);
    expect((await plane.db.query(sql`select 1 from ops.dead_letter_payload`)).rows).toHaveLength(1);
    const ran = { actor: systemActor, action: 'dlq.retention_ran', targetType: 'schedule', targetId: 'dlq-cleanup' };
    await plane.db.transaction((tx) => audit(tx, ran));
    expect(await readStock(plane.db)).toMatchObject([{ captured: 2, open: 1, resolved: 1 }]);
    const restoring = plane.db.transaction((tx) =>
      closeLetter(tx, { id: letter.id, action: 'restore', actor: ana, reason: 'once more' }),
    );
    const details = { by: 'Ana', action: 'dlq.entry_resolved', retention_ran_at: expect.stringContaining('T') };
    await expect(restoring).rejects.toMatchObject({ code: 'removed_by_retention', status: 404, details });
  });

  it('removes redrives, hours and groups after 90 days, and keeps the sums of a queue true', async () => {
    const { plane, letter } = await openDead();
    const { db } = plane;
    await db.transaction((tx) =>
      closeLetter(tx, { id: letter.id, action: 'discard', actor: ana, reason: 'not needed' }),
    );
    await pollUntil(async () => (await db.query(sql`select 1 from ops.dead_letter_change`)).rows.length === 0);
    await db.query(sql`update ops.dead_letter_queue set resolved_at = now() - interval '91 days'`);
    await db.query(sql`update ops.dead_letter_group set last_seen = now() - interval '91 days'`);
    await db.query(sql`update ops.dead_letter_hour set hour = hour - interval '91 days'`);
    await db.query(sql`
      insert into ops.redrive (name, action, state, options, created_by, created_by_name, correlation_id, ended_at)
      values ('old', 'retry', 'done', '{}', 'ana', 'Ana', 'journey-1', now() - interval '91 days'),
             ('new', 'retry', 'done', '{}', 'ana', 'Ana', 'journey-2', now())`);
    await retainLetters(db, new AbortController().signal);
    const left = async (table: string) => (await db.query(sql`select * from ${raw(table)}`)).rows;
    expect(await left('ops.dead_letter_group')).toEqual([]);
    expect(await left('ops.dead_letter_hour')).toEqual([]);
    expect(await left('ops.redrive')).toMatchObject([{ name: 'new' }]);
    expect(await readStock(db)).toMatchObject([{ queue: 'work', captured: 1, open: 0, discarded: 1 }]);
  });
});
