import { afterEach, describe, expect, it } from 'vitest';
import { opsMigrations } from '../ops.ts';
import { openMigrator, sql } from '../postgres/index.ts';
import type { TestPlane } from '../testing/index.ts';
import { readStock } from './index.ts';
import { breakable, openLetters } from './letters.fixture.ts';

let opened: Awaited<ReturnType<typeof openLetters>>;
afterEach(() => opened.plane.close());

/** To the schema before there were letters. */
async function downToFirst(plane: TestPlane): Promise<void> {
  const migrator = openMigrator({ url: plane.databaseUrl, sets: [opsMigrations] });
  await migrator.down((await migrator.status()).length - 1);
}

describe('the upgrade to dead letters', () => {
  it('captures the runs that died before, once, and each can be retried', async () => {
    opened = await openLetters();
    const { plane, letters, retry, letterOf, effects } = opened;
    const migrator = openMigrator({ url: plane.databaseUrl, sets: [opsMigrations] });
    await downToFirst(plane);
    await plane.db.query(sql`
      insert into ops.job_run (run_key, root_key, queue, kind, state, started, finished, failures, max_attempts, finished_at, died_at,
                               cause, last_error, correlation_id)
      select 'old-' || n, 'old-' || n, 'work', 'task', 'dead', 3, 3, 3, 3, now(), now(), 'exhausted',
             '{"type":"TypeError","message":"it broke","stack":"at x"}', 'journey-old'
      from generate_series(1, 3) n`);
    await plane.db.query(sql`
      insert into ops.job_payload (run_key, body, sha256)
      select 'old-' || n, '{"n":' || n || '}', encode(sha256(convert_to('{"n":' || n || '}', 'UTF8')), 'hex') from generate_series(1, 2) n`);
    await migrator.up();
    expect(await letters()).toMatchObject([
      {
        root_key: 'old-1',
        state: 'pending',
        payload: { n: 1 },
        error_type: 'TypeError',
        attempts: 3,
        evidence_lacks: null,
      },
      { root_key: 'old-2', payload: { n: 2 } },
      { root_key: 'old-3', payload: null, evidence_lacks: 'payload: it was not kept' },
    ]);
    expect(await readStock(plane.db)).toMatchObject([{ queue: 'work', captured: 3, open: 3 }]);
    const { state, handler } = breakable();
    state.broken = false;
    await plane.run({ work: handler });
    const [first, , third] = await letters();
    await retry(first?.id ?? '');
    await letterOf('old-1', 'resolved');
    expect(await effects()).toEqual([{ root: 'old-1', times: 1 }]);
    await expect(retry(third?.id ?? '')).rejects.toMatchObject({ code: 'payload_invalid' });
  });

  it('goes down again without losing a payload', async () => {
    opened = await openLetters();
    const { plane, plan, letterOf } = opened;
    const worker = plane.worker({ work: breakable().handler });
    const relay = plane.relay();
    await plane.start(worker);
    await plane.start(relay);
    await plan(1);
    await letterOf('task-1');
    await worker.stop();
    await relay.stop();
    await downToFirst(plane);
    expect((await plane.db.query(sql`select run_key, body from ops.job_payload`)).rows).toEqual([
      { run_key: 'task-1', body: '{"n":1}' },
    ]);
  });
});
