import { type Database, sql } from '@fmhl/ops';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { exportState, readCsv, runExport } from '../../testing/exports.ts';
import { nth, present } from '../../testing/nth.ts';
import type { TestWorld } from '../../testing/world.ts';
import {
  type ExportScene,
  type ExportStage,
  auditsOf,
  brokenIn,
  openExportStage,
  openMarket,
  range,
} from './exports.fixture.ts';

let stage: ExportStage;
let world: TestWorld;
let db: Database;
let storage: ExportStage['storage'];
let admin: ExportScene['admin'];
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
  ({ admin, ask, provider, ready, request, run, sell } = await stage.scene());
});
afterEach(async () => {
  expect(await brokenIn(db)).toEqual([]);
});
afterAll(() => stage.close());

describe('an export of a provider', () => {
  it('has their own rows page by page, in the form of spreadsheets, and is mailed about', async () => {
    const other = await openMarket(world);
    await other.sell();
    for (let at = 0; at < 5; at += 1) await sell({ name: `Person ${at}` });
    const id = await request('provider', 'inbox');
    expect(await run(id, { pageRows: 2 })).toEqual({ kind: 'done' });

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
    expect(await auditsOf(db, id)).toEqual([]);
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
    expect(cells).toEqual([
      `'=HYPERLINK("http://x";"y")`,
      `'+1`,
      `'-2+3`,
      `'@SUM(1)`,
      // A program that separates cells at tabs would see two.
      `'\t'=1`,
      `' =1`,
      `'＝1`,
      'a, "b"\r\nc',
    ]);
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
    expect(asked.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      ...Array(10).fill(202),
      ...Array(4).fill(429),
    ]);
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
      expect(await auditsOf(db, id)).toEqual(['report.export_requested', 'report.export_downloaded']);
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
    expect(await auditsOf(db, id)).toEqual(['report.export_cancelled']);
  });

  it('is too late for one that is ready', async () => {
    const id = await ready('provider', 'balance');
    expect(await ask('provider', `/exports/${id}/cancel`, { method: 'POST' })).toMatchObject({
      status: 409,
      body: { code: 'invalid_state', details: { status: 'completed' } },
    });
  });
});
