import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Database, sql } from '@fmhl/ops';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { exportState, readCsv, runExport } from '../../testing/exports.ts';
import { present } from '../../testing/nth.ts';
import { signedInAs } from '../../testing/http.ts';
import { TestS3, testS3Keys } from '../../testing/s3-server.ts';
import { openS3Store } from '../../file-store/index.ts';
import type { TestWorld } from '../../testing/world.ts';
import { type ExportScene, type ExportStage, brokenIn, openExportStage } from './exports.fixture.ts';
import { sweepExports } from './index.ts';

let stage: ExportStage;
let world: TestWorld;
let db: Database;
let storage: ExportStage['storage'];
let ask: ExportScene['ask'];
let provider: ExportScene['provider'];
let ready: ExportScene['ready'];
let request: ExportScene['request'];
let run: ExportScene['run'];
let sell: ExportScene['sell'];

beforeAll(async () => {
  stage = await openExportStage();
  ({ world, db, storage } = stage);
});
beforeEach(async () => {
  ({ ask, provider, ready, request, run, sell } = await stage.scene());
});
afterEach(async () => {
  expect(await brokenIn(db)).toEqual([]);
});
afterAll(() => stage.close());

const sweep = () => sweepExports(db, { files: storage.files, log: world.log, limit: 100 });

/** An attempt in a process of its own that is killed in the middle of the file. */
async function killedAttempt(id: string, place: string): Promise<void> {
  const child = fork(fileURLToPath(new URL('./export-attempt.fixture.ts', import.meta.url)), [world.url, id, place]);
  const [message] = await once(child, 'message');
  expect(message).toBe('stuck');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

describe('a file', () => {
  it('is not there before it is whole, and gone a day later', async () => {
    await sell();
    const id = await request('provider', 'inbox');
    expect(await ask('provider', `/exports/${id}/download`)).toMatchObject({
      status: 409,
      body: { code: 'not_ready' },
    });
    await run(id);
    const { storage_key } = present(await exportState(db, id));
    expect(await storage.names()).toContain(storage_key);
    await db.query(sql`update export_job set expires_at = now() - interval '1 second' where id = ${id}`);
    expect(await ask('provider', `/exports/${id}/download`)).toMatchObject({ status: 410, body: { code: 'expired' } });
    expect((await sweep()).expired).toBe(1);
    expect(await storage.names()).not.toContain(storage_key);
    expect(await exportState(db, id)).toMatchObject({ status: 'expired', storage_key: null });
    expect((await ask('provider', `/exports/${id}/download`)).status).toBe(410);
  });

  it('of a storage that serves it itself is reached by a link, also once the day is nearly over', async () => {
    await sell({ name: 'Linked' });
    const s3 = new TestS3();
    const endpoint = await s3.start();
    const files = openS3Store({ endpoint, region: 'us-east-1', bucket: 'bucket', ...testS3Keys });
    const id = await request('provider', 'inbox');
    await runExport(db, id, { files, log: world.log });
    await db.query(sql`update export_job set expires_at = now() + interval '10 minutes' where id = ${id}`);
    const linking = await stage.serve(files);
    const url = `/provider/reports/exports/${id}/download`;
    const { statusCode, headers } = await linking.inject({ url, headers: signedInAs(provider.userId, 'provider') });
    expect(statusCode).toBe(302);
    expect(Number(/Expires=(\d+)/.exec(String(headers.location))?.[1])).toBeLessThanOrEqual(600);
    expect(await (await fetch(String(headers.location))).text()).toContain('Linked');
    await sweepExports(db, { files, log: world.log, limit: 10 });
    expect(s3.objects.size).toBe(1);
    await db.query(sql`update export_job set expires_at = now() where id = ${id}`);
    await sweepExports(db, { files, log: world.log, limit: 10 });
    expect(s3.objects.size).toBe(0);
    await linking.close();
    await s3.stop();
  });

  it('that the storage does not give away is asked for again the next time, and stops nothing else', async () => {
    const id = await ready('provider', 'inbox');
    await db.query(sql`update export_job set expires_at = now() where id = ${id}`);
    const remove = async () => Promise.reject(new Error('no answer'));
    const swept = await sweepExports(db, { files: { ...storage.files, remove }, log: world.log, limit: 100 });
    expect(swept.expired).toBe(1);
    expect((await exportState(db, id))?.storage_key).not.toBeNull();
    await sweep();
    expect(await exportState(db, id)).toMatchObject({ status: 'expired', storage_key: null });
  });

  it('that the storage has lost is answered as such', async () => {
    await sell();
    const id = await ready('provider', 'inbox');
    await storage.files.remove(present((await exportState(db, id))?.storage_key));
    expect(await ask('provider', `/exports/${id}/download`)).toMatchObject({
      status: 503,
      body: { code: 'storage_unavailable' },
    });
    await db.query(sql`delete from export_job where id = ${id}`);
  });
});

describe('an export that cannot be written', () => {
  it('dies when whoever asked was disabled, and says so', async () => {
    const id = await request('provider', 'inbox');
    await db.query(sql`update identity.users set status = 'disabled' where id = ${provider.userId}`);
    expect(await run(id)).toMatchObject({ kind: 'bury' });
    expect(await exportState(db, id)).toMatchObject({ status: 'failed', error: 'requester_disabled' });
  });

  it('dies before its first byte when it has too many rows', async () => {
    await sell();
    const id = await request('provider', 'balance');
    const before = await storage.names();
    const deps = { files: storage.files, log: world.log };
    expect(await runExport(db, id, { ...deps, mostRows: 1 })).toMatchObject({ kind: 'bury' });
    expect(await exportState(db, id)).toMatchObject({ status: 'failed', error: 'row_limit' });
    expect(await storage.names()).toEqual(before);
    expect(await ask('provider', `/exports/${id}/download`)).toMatchObject({
      status: 409,
      body: { code: 'invalid_state' },
    });
  });

  it('is tried again after a failure of the storage, and a retry after its end begins anew', async () => {
    await sell();
    const id = await request('provider', 'inbox');
    const put = async () => Promise.reject(new Error('disk full'));
    await expect(runExport(db, id, { files: { ...storage.files, put }, log: world.log })).rejects.toThrow('disk full');
    expect(await exportState(db, id)).toMatchObject({ status: 'processing' });
    await db.query(
      sql`update ops.job_run set state = 'dead', cause = 'exhausted', finished_at = now(), died_at = now() where run_key = ${`export-${id}`}`,
    );
    await db.query(sql`update export_job set created_at = now() - interval '2 minutes' where id = ${id}`);
    expect((await sweep()).failed).toBe(1);
    expect(await exportState(db, id)).toMatchObject({ status: 'failed', error: 'job_dead' });
    await run(id);
    expect(await exportState(db, id)).toMatchObject({ status: 'completed', rows_done: 1, error: null });
    expect(await run(id)).toEqual({ kind: 'done' });
  });

  it('is missing for good when nobody asked for it', async () => {
    expect(await run('00000000-0000-4000-8000-000000000000')).toMatchObject({ kind: 'bury' });
  });
});

describe('an export that is stuck', () => {
  it('shows as stalled after ten minutes without a row', async () => {
    const id = await request('provider', 'inbox');
    await db.query(sql`
      update export_job set status = 'processing', progress_at = now() - interval '11 minutes' where id = ${id}`);
    expect((await ask('admin', `/exports/${id}`)).body).toMatchObject({ status: 'processing', stalled: true });
  });

  it('is taken from an attempt that comes back after another has begun', async () => {
    await sell();
    const id = await request('provider', 'inbox');
    const { files } = storage;
    const put: typeof files.put = async (key, pieces, options) => {
      const stored = await files.put(key, pieces, options);
      await run(id);
      return stored;
    };
    expect(await runExport(db, id, { files: { ...files, put }, log: world.log })).toEqual({ kind: 'done' });
    const { storage_key, status } = present(await exportState(db, id));
    expect(status).toBe('completed');
    expect((await storage.names()).filter((name) => name.startsWith(id))).toEqual([storage_key]);
    expect((await ask('provider', `/exports/${id}/download`)).status).toBe(200);
  });
});

describe('an attempt that is killed in the middle', () => {
  it('leaves nothing that can be read, and the next one writes the whole file alone', async () => {
    for (let at = 0; at < 3; at += 1) await sell({ name: `Person ${at}` });
    const id = await request('provider', 'inbox');
    await killedAttempt(id, storage.directory);
    expect((await storage.names()).filter((name) => name.startsWith(id))).toEqual([
      expect.stringMatching(/\.csv\.part$/),
    ]);
    expect(await ask('provider', `/exports/${id}/download`)).toMatchObject({
      status: 409,
      body: { code: 'not_ready' },
    });
    expect(await run(id)).toEqual({ kind: 'done' });
    const { storage_key } = present(await exportState(db, id));
    expect((await storage.names()).filter((name) => name.startsWith(id))).toEqual([storage_key]);
    expect(readCsv((await ask('provider', `/exports/${id}/download`)).body)).toHaveLength(4);
  });

  it('leaves an upload that nobody sees, which the next one ends', async () => {
    for (let at = 0; at < 3; at += 1) await sell();
    const s3 = new TestS3();
    const endpoint = await s3.start();
    const files = openS3Store({ endpoint, region: 'us-east-1', bucket: 'bucket', ...testS3Keys });
    const id = await request('provider', 'inbox');
    await killedAttempt(id, endpoint);
    expect([s3.uploads.size, s3.objects.size]).toEqual([1, 0]);
    await runExport(db, id, { files, log: world.log });
    expect([s3.uploads.size, s3.objects.size]).toEqual([0, 1]);
    await s3.stop();
  });
});

describe('the invariants of exports', () => {
  it.each([
    ['an export that nothing goes on with', 'pending', `delete from ops.job_run`, 'exports_go_on'],
    [
      'a file that stays',
      'completed',
      `update export_job set expires_at = now() - interval '11 minutes'`,
      'exports_end',
    ],
    [
      'a file that nobody is told of',
      'completed',
      `delete from email where template = 'export_ready'`,
      'exports_are_told',
    ],
  ])('see %s', async (_what, status, breakage, name) => {
    const id = status === 'pending' ? await request('admin', 'leads') : await ready('admin', 'leads');
    const broken = await db.transaction(async (tx) => {
      await tx.query(sql`savepoint whole`);
      await tx.query(sql`update export_job set created_at = now() - interval '6 minutes' where id = ${id}`);
      await tx.query({ name: '', text: breakage, values: [] });
      const found = await brokenIn(tx);
      await tx.query(sql`rollback to whole`);
      return found;
    });
    expect(broken).toEqual([name]);
  });
});
