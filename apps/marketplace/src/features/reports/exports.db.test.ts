import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Database, findBreaches, type Queryable, sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openS3Store } from '../../file-store/index.ts';
import { exportState, makeFiles, readCsv, runExport } from '../../testing/exports.ts';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { makeAssignments } from '../../testing/inbox.ts';
import { nth, present } from '../../testing/nth.ts';
import { TestS3, testS3Keys } from '../../testing/s3-server.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { exportRoutes, reportInvariants, sweepExports } from './index.ts';

let world: TestWorld;
let db: Database;
let app: FastifyInstance;
let storage: Awaited<ReturnType<typeof makeFiles>>;
let provider: { id: string; userId: string };
let admin: { id: string };
let sell: (lead?: { name?: string; email?: string }) => Promise<string>;

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
  storage = await makeFiles();
  const deps = { db, files: storage.files, log: world.log, now: () => new Date() };
  app = await openTestServer(world.log, { routes: (server) => exportRoutes(server, deps) });
});
afterAll(async () => {
  await app.close();
  await world.close();
  await storage.remove();
});
beforeEach(async () => {
  admin = await world.make.user();
  ({ provider, sell } = await market());
});
afterEach(async () => {
  expect(await brokenIn(db)).toEqual([]);
});

async function brokenIn(queryable: Queryable): Promise<string[]> {
  const broken: string[] = [];
  for (const one of reportInvariants) {
    if ((await findBreaches(queryable, one)).rows.length > 0) broken.push(one.name);
  }
  return broken;
}

/** A funded provider who buys every lead of their niche. */
async function market() {
  const niche = await world.make.niche();
  const level = await world.make.level({ nicheId: niche.id, priceCents: 1500 });
  const buyer = await world.make.provider();
  await world.make.credit({ providerId: buyer.id });
  await world.make.subscription({ providerId: buyer.id, levelId: level.id });
  return {
    provider: buyer,
    sell: async ({ name, email }: { name?: string; email?: string } = {}) => {
      const { id } = await world.make.lead({ nicheId: niche.id, ...(email && { email }) });
      if (name) await db.query(sql`update lead set name = ${name} where id = ${id}`);
      await makeAssignments(db, id, world);
      return id;
    },
  };
}

const range = { from: '2020-01-01', to: new Date(Date.now() + 3_600_000).toISOString() };
type Face = 'provider' | 'admin';

async function ask(face: Face, url: string, { user, method = 'GET', payload }: Asking = {}) {
  const id = user ?? (face === 'admin' ? admin.id : provider.userId);
  const answer = await app.inject({
    method,
    url: `/${face}/reports${url}`,
    headers: signedInAs(id, face),
    ...(payload && { payload }),
  });
  const isJson = String(answer.headers['content-type']).includes('json');
  return { status: answer.statusCode, headers: answer.headers, body: isJson ? answer.json() : answer.body };
}
type Asking = { user?: string; method?: 'GET' | 'POST'; payload?: object };

async function request(face: Face, type: string): Promise<string> {
  const { status, body } = await ask(face, '/export', { method: 'POST', payload: { type, ...range } });
  expect([status, body.status]).toEqual([202, 'pending']);
  return body.id as string;
}

const run = (id: string, pageRows = 1_000) => runExport(db, id, { files: storage.files, log: world.log, pageRows });

async function ready(face: Face, type: string): Promise<string> {
  const id = await request(face, type);
  expect(await run(id)).toEqual({ kind: 'done' });
  return id;
}

const auditsOf = async (id: string) =>
  (
    await db.query<{ action: string }>(sql`select action from ops.audit_log where target_id = ${id} order by seq`)
  ).rows.map(({ action }) => action);

describe('an export of a provider', () => {
  it('has their own rows page by page, in the form of spreadsheets, and is mailed about', async () => {
    const other = await market();
    await other.sell();
    for (let at = 0; at < 5; at += 1) await sell({ name: `Person ${at}` });
    const id = await request('provider', 'inbox');
    expect(await run(id, 2)).toEqual({ kind: 'done' });

    const { status, headers, body } = await ask('provider', `/exports/${id}/download`);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': expect.stringMatching(/^attachment; filename="inbox-2020-01-01-\d{4}-\d\d-\d\d\.csv"$/),
    });
    expect(body.startsWith('\ufeffassignment_id') || body.startsWith('\ufeff"assignment_id"')).toBe(true);
    const [names = [], ...rows] = readCsv(body);
    expect(rows.map((row) => row[names.indexOf('name')])).toEqual([0, 1, 2, 3, 4].map((at) => `Person ${at}`));
    expect(rows.map((row) => row[names.indexOf('price')])).toEqual(Array.from({ length: 5 }, () => '15.00'));
    expect(body.split('\r\n')).toHaveLength(7);

    const { body: view } = await ask('provider', `/exports/${id}`);
    expect(view).toMatchObject({ status: 'completed', stalled: false, rows_done: 5, rows_estimate: 5, error: null });
    expect(view.bytes).toBe(Buffer.byteLength(body));
    const { rows: mails } = await db.query(sql`select variables from email where dedupe_key = ${`export_ready:${id}`}`);
    expect(mails).toEqual([{ variables: { export_id: id, type: 'inbox', rows: 5, is_own: true } }]);
    expect(await auditsOf(id)).toEqual([]);
  });

  it('writes money as numbers, also below zero', async () => {
    await sell();
    const id = await ready('provider', 'balance');
    const [names = [], ...rows] = readCsv((await ask('provider', `/exports/${id}/download`)).body);
    expect(rows.map((row) => [row[names.indexOf('kind')], row[names.indexOf('amount')]])).toEqual([
      ['manual_credit', '1000.00'],
      ['lead_charge', '-15.00'],
    ]);
  });

  it('makes no cell a formula of what a stranger typed', async () => {
    const typed = ['=HYPERLINK("http://x";"y")', '+1', '-2+3', '@SUM(1)', '\t=1', ' =1', '＝1', 'a, "b"\r\nc'];
    for (const name of typed) await sell({ name });
    const id = await ready('provider', 'inbox');
    const [names = [], ...rows] = readCsv((await ask('provider', `/exports/${id}/download`)).body);
    const cells = rows.map((row) => row[names.indexOf('name')]);
    expect(cells).toEqual([...typed.slice(0, -1).map((name) => `'${name}`), 'a, "b"\r\nc']);
  });

  it('holds what was there at the moment of the request, as it was then', async () => {
    const leadId = await sell({ name: 'Before' });
    const id = await request('provider', 'inbox');
    await sell({ name: 'After' });
    await db.query(sql`
      insert into inbox_mark (assignment_id, decision, decided_at, viewed_at)
      select id, 'accepted', now(), now() from v_assignment where lead_id = ${leadId}`);
    await run(id);
    const [names = [], ...rows] = readCsv((await ask('provider', `/exports/${id}/download`)).body);
    expect(rows.map((row) => [row[names.indexOf('name')], row[names.indexOf('decision')]])).toEqual([['Before', '']]);
  });

  it('is for nobody else: not for another provider, not for the staff', async () => {
    await sell();
    const id = await ready('provider', 'inbox');
    const stranger = await world.make.provider();
    const asked = await Promise.all([
      ask('provider', `/exports/${id}`, { user: stranger.userId }),
      ask('provider', `/exports/${id}/download`, { user: stranger.userId }),
      ask('provider', `/exports/${id}/cancel`, { user: stranger.userId, method: 'POST' }),
      ask('admin', `/exports/${id}/download`),
    ]);
    expect(asked.map(({ status, body }) => [status, body.code])).toEqual(asked.map(() => [404, 'not_found']));
    expect((await ask('provider', '/exports', { user: stranger.userId })).body.items).toEqual([]);
    const staffs = await ready('admin', 'assignments');
    expect((await ask('provider', `/exports/${staffs}/download`)).status).toBe(404);
  });

  it('may be asked for ten times a day, also all at once', async () => {
    const asked = await Promise.all(
      Array.from({ length: 14 }, () =>
        ask('provider', '/export', { method: 'POST', payload: { type: 'inbox', ...range } }),
      ),
    );
    expect(asked.map(({ status }) => status).sort()).toEqual([...Array(10).fill(202), ...Array(4).fill(429)]);
    const refused = present(asked.find(({ status }) => status === 429));
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(86_000);
    await db.query(sql`delete from export_job where provider_id = ${provider.id}`);
  });

  it.each([
    ['leads', {}, 'body.type'],
    ['inbox', { from: '2026-02-01', to: '2026-01-01' }, 'body.to'],
    ['inbox', { from: '0000-01-01' }, 'body.from'],
    ['inbox', { from: 'yesterday' }, 'body.from'],
    ['inbox', { to: '2999-01-01' }, 'body.to'],
  ])('of %s with %j is refused', async (type, wrong, at) => {
    const { status, body } = await ask('provider', '/export', {
      method: 'POST',
      payload: { type, ...range, ...wrong },
    });
    expect([status, body.code, body.details.faults[0].at]).toEqual([400, 'validation_failed', at]);
  });
});

describe('an export of the staff', () => {
  it('has the rows of all providers, and each step of it is in the audit log', async () => {
    const leadId = await sell({ name: 'Jane' });
    for (const type of ['leads', 'assignments', 'ledger']) {
      const id = await ready('admin', type);
      const { status, body } = await ask('admin', `/exports/${id}/download`);
      expect(status).toBe(200);
      expect(body).toContain(type === 'ledger' ? 'lead_charge' : leadId);
      expect(await auditsOf(id)).toEqual(['report.export_requested', 'report.export_downloaded']);
    }
    const { body } = await ask('admin', '/exports');
    expect(nth(body.items, 0)).toMatchObject({ type: 'ledger', requested_by: admin.id, provider_id: null });
  });

  it('goes on list by list without a gap or a repeat', async () => {
    const ids = [await request('admin', 'leads'), await request('admin', 'leads'), await request('admin', 'leads')];
    const { body: first } = await ask('admin', '/exports?limit=2');
    const { body: second } = await ask('admin', `/exports?limit=2&cursor=${first.pagination.next_cursor}`);
    const seen = [...first.items, ...second.items].map(({ id }: { id: string }) => id);
    expect(seen.slice(0, 3)).toEqual(ids.toReversed());
  });
});

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
    const deps = { db, files, log: world.log, now: () => new Date() };
    const linking = await openTestServer(world.log, { routes: (server) => exportRoutes(server, deps) });
    const url = `/provider/reports/exports/${id}/download`;
    const { statusCode, headers } = await linking.inject({ url, headers: signedInAs(provider.userId, 'provider') });
    expect(statusCode).toBe(302);
    expect(Number(/Expires=(\d+)/.exec(String(headers.location))?.[1])).toBeLessThanOrEqual(600);
    expect(await (await fetch(String(headers.location))).text()).toContain('Linked');
    await sweepExports(db, { files, limit: 10 });
    expect(s3.objects.size).toBe(1);
    await db.query(sql`update export_job set expires_at = now() where id = ${id}`);
    await sweepExports(db, { files, limit: 10 });
    expect(s3.objects.size).toBe(0);
    await linking.close();
    await s3.stop();
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

const sweep = () => sweepExports(db, { files: storage.files, limit: 100 });

describe('cancelling', () => {
  it('stops an export that waits, once', async () => {
    const id = await request('provider', 'inbox');
    const cancel = () => ask('provider', `/exports/${id}/cancel`, { method: 'POST' });
    expect((await cancel()).body).toEqual({ id, status: 'cancelled', changed: true });
    expect((await cancel()).body).toEqual({ id, status: 'cancelled', changed: false });
    expect(await run(id)).toEqual({ kind: 'done' });
    expect(await exportState(db, id)).toMatchObject({ status: 'cancelled', rows_done: 0 });
  });

  it('stops one under way at its next page, and leaves no file', async () => {
    for (let at = 0; at < 4; at += 1) await sell();
    const id = await request('provider', 'inbox');
    const { files } = storage;
    const put: typeof files.put = (key, pieces, options) => {
      async function* watched() {
        let pages = 0;
        for await (const piece of pieces) {
          yield piece;
          if ((pages += 1) === 2) await ask('admin', `/exports/${id}/cancel`, { method: 'POST' });
        }
      }
      return files.put(key, watched(), options);
    };
    const before = await storage.names();
    expect(await runExport(db, id, { files: { ...files, put }, log: world.log, pageRows: 1 })).toEqual({
      kind: 'done',
    });
    expect(await exportState(db, id)).toMatchObject({ status: 'cancelled', rows_done: 0 });
    expect(await storage.names()).toEqual(before);
    expect(await auditsOf(id)).toEqual(['report.export_cancelled']);
  });

  it('is too late for one that is ready', async () => {
    const id = await ready('provider', 'balance');
    expect(await ask('provider', `/exports/${id}/cancel`, { method: 'POST' })).toMatchObject({
      status: 409,
      body: { code: 'invalid_state', details: { status: 'completed' } },
    });
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

/** An attempt in a process of its own that is killed in the middle of the file. */
async function killedAttempt(id: string, place: string): Promise<void> {
  const child = fork(fileURLToPath(new URL('./export-attempt.fixture.ts', import.meta.url)), [world.url, id, place]);
  const [message] = await once(child, 'message');
  expect(message).toBe('stuck');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

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
