import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { foldChanges } from '../dead-letters/index.ts';
import { sql } from '../postgres/index.ts';
import { wakeOnce } from './index.ts';
import { insertLetters, type LetterDraft, openGroups } from './letters.fixture.ts';

let opened: Awaited<ReturnType<typeof openGroups>>;
let id: string;
beforeAll(async () => {
  opened = await openGroups();
});
afterAll(() => opened.plane.close());

const fingerprint = 'v1_dddddddd00000001';
const group = `/groups/${fingerprint}`;
const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
const die = (draft: LetterDraft = {}) => insertLetters(opened.plane.db, [{ fingerprint, ...draft }]);
const reset = sql`
  truncate ops.dead_letter_queue, ops.dead_letter_group, ops.dead_letter_note, ops.dead_letter_change, ops.dead_letter_stock,
           ops.dead_letter_hour, ops.idempotency_key`;
const audits = async () => {
  const { rows } = await opened.plane.db.query<{ action: string }>(sql`
    select action from ops.audit_log where seq > (select coalesce(max(seq), 0) from ops.audit_log where action = 'test.began') order by seq`);
  return rows.map(({ action }) => action);
};

beforeEach(async () => {
  await opened.plane.db.query(reset);
  await opened.plane.db.query(sql`
    insert into ops.audit_log (actor, actor_name, via, action, target_type, target_id, correlation_id)
    values ('test', 'test', 'system', 'test.began', 'test', 'test', 'none')`);
  id = (await die())[0] ?? '';
});

describe.each([
  ['a letter', () => `/${id}`],
  ['a group', () => group],
])('%s', (_what, path) => {
  it('takes notes, once for each key, and shows them newest first', async () => {
    const { call } = opened;
    expect(await call('POST', `${path()}/notes`, { text: 'seen' })).toMatchObject({
      status: 400,
      body: { code: 'idempotency_key_required' },
    });
    const note = await call('POST', `${path()}/notes`, { text: 'seen before' }, 'key-of-note-1');
    expect(note).toMatchObject({ status: 201, body: { text: 'seen before', author_name: 'Ana' } });
    const again = await call('POST', `${path()}/notes`, { text: 'seen before' }, 'key-of-note-1');
    expect(again).toMatchObject({ status: 201, body: note.body, headers: { 'idempotency-replayed': 'true' } });
    await call('POST', `${path()}/notes`, { text: 'and again' }, 'key-of-note-2');
    const { body } = await call('GET', `${path()}/notes`);
    expect((body.notes as { text: string }[]).map(({ text }) => text)).toEqual(['and again', 'seen before']);
    expect(await audits()).toEqual(['dlq.note_added', 'dlq.note_added']);
    const { rows } = await opened.plane.db.query(
      sql`select details::text from ops.audit_log where details::text like '%seen%'`,
    );
    expect(rows).toEqual([]);
  });

  it('has an assignee: `me`, a name, or nobody', async () => {
    const { call } = opened;
    const put = (assignee: string | null) => call('PUT', `${path()}/assignee`, { assignee });
    expect(await put('me')).toMatchObject({ status: 200, body: { assignee: 'Ana', version: 2, fingerprint } });
    expect(await put('me')).toMatchObject({ status: 200, body: { assignee: 'Ana', version: 2, already: true } });
    expect(await put('Bo')).toMatchObject({ status: 200, body: { assignee: 'Bo', version: 3 } });
    expect(await put(null)).toMatchObject({ status: 200, body: { assignee: null, version: 4 } });
    expect(await audits()).toEqual(['dlq.assigned', 'dlq.assigned', 'dlq.assigned']);
  });

  it('has a ticket, which is an https address', async () => {
    const { call } = opened;
    const put = (url: string | null) => call('PUT', `${path()}/ticket`, { url });
    expect(await put('https://tickets.test/7')).toMatchObject({
      status: 200,
      body: { ticket: 'https://tickets.test/7' },
    });
    for (const url of ['http://tickets.test/7', 'javascript:alert(1)', 'https://u:p@tickets.test/', 'seven']) {
      expect(await put(url)).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    }
    expect(await put(null)).toMatchObject({ body: { ticket: null } });
    expect(await audits()).toEqual(['dlq.ticket_linked', 'dlq.ticket_linked']);
  });

  it('refuses a write that expects another version, and says what is there', async () => {
    const { call } = opened;
    await call('PUT', `${path()}/assignee`, { assignee: 'Bo' });
    const late = await call('PUT', `${path()}/assignee`, { assignee: 'me', expected_version: 1 });
    expect(late).toMatchObject({
      status: 409,
      body: { code: 'version_changed', details: { present: { assignee: 'Bo', version: 2 } } },
    });
    expect(await call('PUT', `${path()}/ticket`, { url: null, expected_version: 2 })).toMatchObject({ status: 200 });
    expect(await audits()).toEqual(['dlq.assigned']);
  });

  it('takes one of many writes of the same version', async () => {
    const writes = Array.from({ length: 10 }, (_, at) =>
      opened.call('PUT', `${path()}/assignee`, { assignee: `name ${at}`, expected_version: 1 }),
    );
    const statuses = (await Promise.all(writes)).map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([200, ...Array<number>(9).fill(409)]);
    expect(await audits()).toEqual(['dlq.assigned']);
  });

  it('sleeps until a time, wakes when told to, and is counted all the while', async () => {
    const { call } = opened;
    const until = inHours(24);
    const asleep = await call('PUT', `${path()}/snooze`, { until, reason: 'waits for the vendor' });
    expect(asleep).toMatchObject({ status: 200, body: { snooze: { until, until_deaths: null }, version: 2 } });
    expect(await call('PUT', `${path()}/snooze`, { until, reason: 'waits for the vendor' })).toMatchObject({
      status: 200,
      body: { already: true, version: 2 },
    });
    expect((await call('GET', group)).body).toMatchObject({ open: 1, count: 1 });
    expect(await call('DELETE', `${path()}/snooze`)).toMatchObject({ status: 200, body: { snooze: null, version: 3 } });
    expect(await call('DELETE', `${path()}/snooze`)).toMatchObject({
      status: 200,
      body: { already: true, version: 3 },
    });
    expect(await audits()).toEqual(['dlq.snoozed', 'dlq.snooze_ended']);
  });

  it('does not sleep without an end, into the past or longer than 30 days', async () => {
    const reason = 'waits for the vendor';
    for (const body of [
      { reason },
      { until: inHours(-1), reason },
      { until: inHours(31 * 24), reason },
      { until: inHours(1) },
    ]) {
      const { status, body: answer } = await opened.call('PUT', `${path()}/snooze`, body);
      expect([status, answer.code]).toEqual([400, 'reason' in body ? 'validation_failed' : 'reason_required']);
    }
  });

  it('wakes by itself when its time has come', async () => {
    const { call, plane } = opened;
    await call('PUT', `${path()}/snooze`, { until: inHours(1), reason: 'waits for the vendor' });
    expect(await wakeOnce(plane.db)).toMatchObject({ letters: 0, groups: 0 });
    await plane.db.query(sql`update ops.dead_letter_queue set snoozed_until = now() where snoozed_until is not null`);
    await plane.db.query(sql`update ops.dead_letter_group set snoozed_until = now() where snoozed_until is not null`);
    const { letters, groups } = await wakeOnce(plane.db);
    expect(letters + groups).toBe(1);
    expect(await audits()).toEqual(['dlq.snoozed', 'dlq.snooze_ended']);
  });

  it('wakes when there were more deaths than it was to sleep through, folded or not', async () => {
    const { call, plane } = opened;
    const asleep = await call('PUT', `${path()}/snooze`, { more_than: 2, reason: 'rare enough to wait' });
    expect(asleep.body.snooze).toEqual({ until: null, until_deaths: 3 });
    await die();
    await foldChanges(plane.db);
    await die();
    expect(await wakeOnce(plane.db)).toMatchObject({ letters: 0, groups: 0 });
    await die();
    const { letters, groups } = await wakeOnce(plane.db);
    expect(letters + groups).toBe(1);
  });
});

describe('the snooze of a letter', () => {
  it('is a state of the letter', async () => {
    const { call } = opened;
    const until = inHours(1);
    expect(await call('PUT', `/${id}/snooze`, { until, reason: 'wait for it' })).toMatchObject({
      body: { state: 'snoozed' },
    });
    expect(await call('DELETE', `/${id}/snooze`)).toMatchObject({ body: { state: 'pending' } });
  });

  it.each([
    ['retrying', 'already_retrying'],
    ['resolved', 'already_resolved'],
    ['discarded', 'already_resolved'],
  ])('is refused while it is %s', async (state, code) => {
    const [other] = await die({ state });
    const refused = await opened.call('PUT', `/${other}/snooze`, { until: inHours(1), reason: 'wait for it' });
    expect(refused).toMatchObject({ status: 409, body: { code, details: { state } } });
    expect(await audits()).toEqual([]);
  });

  it('is refused for what does not exist', async () => {
    const unknown = '00000000-0000-4000-8000-000000000000';
    expect(await opened.call('PUT', `/${unknown}/assignee`, { assignee: 'me' })).toMatchObject({ status: 404 });
    expect(await opened.call('GET', `/${unknown}/notes`)).toMatchObject({ status: 404 });
    expect(await opened.call('PUT', '/seven/assignee', { assignee: 'me' })).toMatchObject({ body: { code: 'bad_id' } });
    expect(await opened.call('PUT', '/groups/v1_unknown/assignee', { assignee: 'me' })).toMatchObject({ status: 404 });
  });
});

describe('a fix', () => {
  const fixed = (version: string) => opened.call('PUT', `${group}/fixed-in`, { version, reason: 'null check added' });
  const state = async () => (await opened.call('GET', group)).body.state;

  it('makes the group fixed; the same fix again leaves no row', async () => {
    expect(await fixed('1.2.0')).toMatchObject({ status: 200, body: { fixed_in: '1.2.0', version: 2 } });
    expect(await fixed('1.2.0')).toMatchObject({ body: { already: true } });
    expect(await state()).toBe('fixed');
    expect(await audits()).toEqual(['dlq.group_fixed']);
    expect((await opened.call('GET', group)).body.fixed).toMatchObject({ version: '1.2.0', by: 'Ana' });
  });

  it('holds while older versions die', async () => {
    await die({ version: '1.2.0' });
    await fixed('1.2.0');
    await die({ version: '1.1.9' });
    await die({ version: null });
    expect(await state()).toBe('fixed');
    expect(await wakeOnce(opened.plane.db)).toMatchObject({ regressed: 0 });
  });

  it.each(['1.2.0', '1.10.0'])('is undone by a later death on %s, which ends a snooze', async (version) => {
    const { call, plane } = opened;
    await fixed('1.2.0');
    await call('PUT', `${group}/snooze`, { until: inHours(1), reason: 'deployed tonight' });
    await die({ version });
    expect(await state()).toBe('regressed');
    expect((await call('GET', '/groups')).body).toMatchObject({ groups: [{ state: 'regressed', snooze: null }] });
    await foldChanges(plane.db);
    expect(await wakeOnce(plane.db)).toMatchObject({ regressed: 1 });
    expect(await wakeOnce(plane.db)).toMatchObject({ regressed: 0 });
    const { rows } = await plane.db.query(sql`select snoozed_until, regressed_at from ops.dead_letter_group`);
    expect(rows).toEqual([{ snoozed_until: null, regressed_at: expect.any(Date) }]);
    expect(await audits()).toEqual(['dlq.group_fixed', 'dlq.snoozed', 'dlq.group_regressed']);
    expect(await fixed('1.2.0')).toMatchObject({ body: { fixed_in: '1.2.0' } });
    expect(await state()).toBe('fixed');
  });
});

describe('reclassification', () => {
  const dry = (body: object, key = 'reclassify-dry-1') => opened.call('POST', '/groups/reclassify', body, key);

  it('previews what it would split and merge, then moves letters with their notes', async () => {
    const { call, plane } = opened;
    await plane.db.query(reset);
    const old = (fp: string, message: string): LetterDraft => ({ fingerprint: fp, message });
    await insertLetters(plane.db, [
      old('v0_one', 'timeout'),
      old('v0_one', 'x is not a function'),
      old('v0_two', 'timeout'),
      { fingerprint: 'hosts-own', message: 'timeout' },
    ]);
    await plane.db.query(sql`update ops.dead_letter_group set classifier = 0`);
    await call('POST', '/groups/v0_one__/notes', { text: 'nope' }, 'note-to-nobody');
    await plane.db.query(sql`
      insert into ops.dead_letter_note (fingerprint, author, author_name, text) values ('v0_one', 'a', 'Ana', 'mine')`);
    expect(await dry({ to: 1, dry_run: true })).toMatchObject({
      status: 200,
      body: { dry_run: true, letters: 3, groups: 2, splits: 1, merges: 1 },
    });
    expect(await dry({ to: 1, dry_run: false }, 'reclassify-run-1')).toMatchObject({ status: 202 });
    await expect
      .poll(
        async () =>
          (await plane.db.query(sql`select from ops.dead_letter_group where fingerprint like 'v0%'`)).rows.length,
      )
      .toBe(0);
    const { rows } = await plane.db.query(sql`
      select g.message, g.notes_count, count(*)::int as letters from ops.dead_letter_group g
      join ops.dead_letter_queue using (fingerprint) group by 1, 2 order by 1, 2`);
    expect(rows).toEqual([
      { message: 'timeout', notes_count: 0, letters: 1 },
      { message: 'timeout', notes_count: 1, letters: 2 },
      { message: 'x is not a function', notes_count: 1, letters: 1 },
    ]);
    const { groups } = (await call('GET', '/groups')).body as { groups: { count: number }[] };
    expect(groups.map(({ count }) => count).toSorted((a, b) => a - b)).toEqual([1, 1, 2]);
    expect(await audits()).toEqual(['dlq.reclassified']);
  });

  it('is refused for a classifier that does not exist, and while another one runs', async () => {
    expect(await dry({ to: 2, dry_run: true }, 'reclassify-to-2')).toMatchObject({ status: 400 });
    await opened.plane.db.query(sql`
      insert into ops.lease (name, holder, term, expires_at) values ('reclassify', gen_random_uuid(), 1, now() + interval '1 minute')
      on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at`);
    expect(await dry({ to: 1, dry_run: false }, 'reclassify-again')).toMatchObject({
      status: 409,
      body: { code: 'in_progress' },
    });
    expect(await audits()).toEqual([]);
  });
});
