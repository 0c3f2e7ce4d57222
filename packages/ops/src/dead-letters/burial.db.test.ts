import { afterEach, describe, expect, it } from 'vitest';
import { type Database, sql } from '../postgres/index.ts';
import { type DeathHooks, describeFailure, type Dying, enqueue } from '../queues/index.ts';
import { openBurial, readStock } from './index.ts';
import { openLetters, spare, work } from './letters.fixture.ts';

let opened: Awaited<ReturnType<typeof openLetters>>;
afterEach(() => opened.plane.close());
const workerId = '0b8a4a52-6f2b-4a55-9f38-0f7b8f0a1c11';

/** Runs that have begun, and what each of them will die of. */
async function openDying() {
  opened = await openLetters();
  const { plane, letters } = opened;
  const { db } = plane;
  const begun = async (key: string, queue: 'work' | 'spare' = 'work'): Promise<Dying> => {
    await db.transaction((tx) =>
      queue === 'spare' ? enqueue(tx, spare, 'task', { n: 1 }, { key }) : enqueue(tx, work, 'task', { n: 1 }, { key }),
    );
    await db.query(sql`update ops.job_run set started = 1, last_started_at = now() where run_key = ${key}`);
    return dying(key, queue);
  };
  const deaths = async () => (await db.query(sql`select sum(deaths)::int as deaths from ops.job_death`)).rows;
  const open = async () => (await db.query(sql`select run_key from ops.job_outbox`)).rows;
  return { ...opened, db, letters, begun, deaths, open };
}

function dying(runKey: string, queue = 'work', started = 1): Dying {
  return { runKey, queue, cause: 'permanent', failure: describeFailure(new Error(`no place for ${runKey}`)), started };
}

/** Counts the statements and transactions it is asked for. */
function counted(db: Database) {
  const asked = { statements: 0, transactions: 0 };
  const watched = Object.create(db, {
    query: { value: (statement: Parameters<Database['query']>[0]) => (asked.statements++, db.query(statement)) },
    transaction: {
      value: (run: Parameters<Database['transaction']>[0]) => (asked.transactions++, db.transaction(run)),
    },
  }) as Database;
  return { asked, watched };
}

describe('a burial', () => {
  it('of first deaths is one statement, whatever their number', async () => {
    const { db, begun, letters, deaths, open } = await openDying();
    const some = await Promise.all(Array.from({ length: 20 }, (_, n) => begun(`task-${n}`)));
    const { asked, watched } = counted(db);
    const buried = await openBurial({ db: watched, workerId })(some);
    expect(asked).toEqual({ statements: 1, transactions: 0 });
    expect(buried.map(({ runKey }) => runKey).toSorted()).toEqual(some.map(({ runKey }) => runKey).toSorted());
    expect(new Set((await letters()).map(({ root_key }) => root_key))).toEqual(
      new Set(some.map(({ runKey }) => runKey)),
    );
    expect([await deaths(), await open()]).toEqual([[{ deaths: 20 }], []]);
  });

  it('keeps each payload as it was: of the envelope, kept apart for its size, and none where its row is gone', async () => {
    const { db, begun, letterOf, plane } = await openDying();
    const note = 'ü'.repeat(40_000);
    await db.transaction((tx) => enqueue(tx, work, 'task', { n: 2, note }, { key: 'large' }));
    await db.query(sql`update ops.job_run set started = 1, last_started_at = now() where run_key = 'large'`);
    const some = [await begun('small'), dying('large'), await begun('gone'), await begun('other')];
    await db.query(sql`delete from ops.job_outbox where run_key = 'gone'`);
    expect(await openBurial({ db, workerId })(some)).toHaveLength(4);
    const { rows } = await plane.db.query(sql`
      select root_key, p.body, l.payload::text, evidence_lacks
      from ops.dead_letter_queue l left join ops.dead_letter_payload p on p.letter_id = l.id order by root_key`);
    const large = JSON.stringify({ n: 2, note });
    const inline = { body: '{"n":1}', payload: '{"n": 1}', evidence_lacks: null };
    expect(rows).toEqual([
      { root_key: 'gone', body: null, payload: null, evidence_lacks: 'payload: it was not kept' },
      { root_key: 'large', body: large, payload: `{"n": 2, "note": "${note}"}`, evidence_lacks: null },
      { root_key: 'other', ...inline },
      { root_key: 'small', ...inline },
    ]);
    expect((await letterOf('large')).payload_bytes).toBe(Buffer.byteLength(large));
  });

  it('takes what is special in a batch with what is not: each death has its letter, once', async () => {
    const { db, begun, letters, letterOf, retry, plane } = await openDying();
    const told: string[] = [];
    const hooks: DeathHooks = { spare: async (_tx, some) => void told.push(...some.map(({ runKey }) => runKey)) };
    const bury = openBurial({ db, workerId, hooks });
    await bury([await begun('again')]);
    const { jobId } = await retry((await letterOf('again')).id);
    await db.query(sql`update ops.job_run set started = 1, last_started_at = now() where run_key = ${jobId}`);
    // Postgres lost its run once, and the sweeper captured the job.
    await bury([await begun('known')]);
    await db.query(sql`update ops.dead_letter_queue set cause = 'orphaned' where root_key = 'known'`);
    await db.query(sql`delete from ops.job_run where run_key = 'known'`);
    const batch = [
      await begun('plain'),
      await begun('watched', 'spare'),
      await begun('known'),
      dying(jobId),
      { ...(await begun('fenced')), started: 2 },
      dying('nobody'),
    ];
    const buried = await bury(batch);
    expect(buried.map(({ runKey }) => runKey).toSorted()).toEqual([jobId, 'known', 'plain', 'watched'].toSorted());
    expect(told).toEqual(['watched']);
    expect(await letters()).toMatchObject([
      { root_key: 'again', state: 'pending', generation: 1, error_message: `no place for ${jobId}` },
      { root_key: 'known', state: 'pending', cause: 'permanent' },
      { root_key: 'plain', state: 'pending' },
      { root_key: 'watched', state: 'pending' },
    ]);
    const stock = await readStock(plane.db);
    expect(stock.reduce((sum, { captured }) => sum + captured, 0)).toBe(4);
    expect(await bury(batch)).toEqual([]);
  });

  it('of first deaths does not wait for that of a retry among them', async () => {
    const { db, begun, letters, letterOf, retry } = await openDying();
    await openBurial({ db, workerId })([await begun('again')]);
    const { jobId } = await retry((await letterOf('again')).id);
    await db.query(sql`update ops.job_run set started = 1, last_started_at = now() where run_key = ${jobId}`);
    const broken = Object.create(db, {
      query: { value: (statement: Parameters<Database['query']>[0]) => db.query(statement) },
      transaction: { value: () => Promise.reject(new Error('no transaction')) },
    });
    const batch = [dying(jobId), await begun('plain')];
    await expect(openBurial({ db: broken as Database, workerId })(batch)).rejects.toThrow('no transaction');
    expect(await letters()).toMatchObject([
      { root_key: 'again', state: 'retrying' },
      { root_key: 'plain', state: 'pending' },
    ]);
  });

  it('by many at once happens once', async () => {
    const { db, begun, letters, deaths } = await openDying();
    const some = await Promise.all(Array.from({ length: 8 }, (_, n) => begun(`task-${n}`)));
    const burials = await Promise.all(Array.from({ length: 6 }, () => openBurial({ db, workerId })(some)));
    expect(
      burials
        .flat()
        .map(({ runKey }) => runKey)
        .toSorted(),
    ).toEqual(some.map(({ runKey }) => runKey));
    expect([(await letters()).length, await deaths()]).toEqual([8, [{ deaths: 8 }]]);
  });

  it('that a hook breaks leaves the run open, and what was buried beside it buried', async () => {
    const { db, begun, letters, open } = await openDying();
    const hooks: DeathHooks = { spare: async () => Promise.reject(new Error('the host is in trouble')) };
    const batch = [await begun('plain'), await begun('watched', 'spare')];
    await expect(openBurial({ db, workerId, hooks })(batch)).rejects.toThrow('the host is in trouble');
    expect((await letters()).map(({ root_key }) => root_key)).toEqual(['plain']);
    expect(await open()).toEqual([{ run_key: 'watched' }]);
  });

  it('whose answer was lost is answered when it is asked for again, by the attempt that died and by no other', async () => {
    const { db, begun, letters } = await openDying();
    const one = await begun('task-1');
    await db.query(sql`update ops.job_run set worker = ${workerId}`);
    const bury = openBurial({ db, workerId });
    const told = await bury([one]);
    expect(told).toMatchObject([{ runKey: 'task-1', failure: one.failure, attempts: 1 }]);
    expect(await bury([one])).toEqual(told);
    expect(await bury([{ ...one, started: 2 }])).toEqual([]);
    expect(await bury([{ ...one, started: undefined }])).toEqual([]);
    expect(await openBurial({ db, workerId: '0b8a4a52-6f2b-4a55-9f38-0f7b8f0a1c12' })([one])).toEqual([]);
    expect(await letters()).toHaveLength(1);
  });
});
