import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { type AuditWorld, key, openAuditWorld, rowsOf } from './audit.fixture.ts';
import type { AuditAnchor, AuditKey } from './index.ts';
import { linkHash, sealOf } from './chain.ts';
import { readDatabaseIdentity, readHead, readWalk } from './queries.ts';

let world: AuditWorld;
beforeEach(async () => {
  world = await openAuditWorld();
});
afterEach(() => world.close());

/** The head as an anchor keeps it. */
async function anchored(of: AuditWorld = world): Promise<AuditAnchor> {
  const head = await readHead(of.db);
  if (!head) throw new Error('nothing is linked');
  const database = await readDatabaseIdentity(of.db);
  return { n: head.n, seq: head.seq, hash: head.hash.toString('hex'), at: new Date().toISOString(), database };
}

const swapContents = (a: number, b: number) => `
  create temp table old as select * from ops.audit_log where seq in (${a}, ${b});
  update ops.audit_log l set (at, actor, actor_name, via, action, target_type, target_id, reason, details, correlation_id) =
    (select at, actor, actor_name, via, action, target_type, target_id, reason, details, correlation_id from old o where o.seq <> l.seq)
  where l.seq in (${a}, ${b}); drop table old`;

const swapLinks = (a: number, b: number) => `
  update ops.audit_chain set seq = -seq where n in (${a}, ${b});
  update ops.audit_chain set seq = ${b} where n = ${a}; update ops.audit_chain set seq = ${a} where n = ${b}`;

/** Another text at row 4, and every link from there on as whoever has `forger` would make it. */
async function rewriteFrom4(forger: AuditKey | undefined): Promise<void> {
  await world.tamper(`update ops.audit_log set reason = 'another' where seq = 4`);
  const rows = await readWalk(world.db, { after: 0, to: 100 });
  let previous = rows[2]?.hash ?? Buffer.alloc(0);
  for (const row of rows.slice(3)) {
    if (!row.logged) continue;
    previous = linkHash(previous, row.n, row);
    const seal = forger && sealOf(forger, previous).toString('hex');
    await world.tamper(
      `update ops.audit_chain set hash = '\\x${previous.toString('hex')}'${seal ? `, seal = '\\x${seal}'` : ''} where n = ${row.n}`,
    );
  }
}

describe('a chain that nobody touched', () => {
  it('is found whole, with what waits for its link apart', async () => {
    await world.chain(10);
    await world.act(11);
    const verdict = await world.verify({ anchors: [await anchored()] });
    expect(verdict).toMatchObject({ ok: true, fault: null, checked: 10, sealed: true, head: { n: 10 } });
    expect(verdict).toMatchObject({ pending: { count: 1 }, anchor: { count: 1, n: 10 } });
  });

  it('is not enough where anchors are kept and none is there', async () => {
    expect(await world.verify({ isAnchored: true })).toMatchObject({ ok: true });
    await world.chain(2);
    expect((await world.verify({ isAnchored: true })).fault).toMatchObject({ kind: 'no_anchor', n: null });
    expect(await world.verify({ isAnchored: true, anchors: [await anchored()] })).toMatchObject({ ok: true });
    await world.tamper('delete from ops.audit_log where seq = 1');
    expect((await world.verify({ isAnchored: true })).fault).toMatchObject({ kind: 'missing' });
  });

  it('is whole when it is empty', async () => {
    expect(await world.verify()).toMatchObject({ ok: true, checked: 0, head: null, anchor: null });
  });

  it('takes no change through the tables themselves', async () => {
    await world.chain(1);
    for (const statement of [
      sql`update ops.audit_chain set n = 2`,
      sql`delete from ops.audit_chain`,
      sql`truncate ops.audit_chain`,
      sql`delete from ops.audit_log`,
    ]) {
      await expect(world.db.query(statement)).rejects.toThrow('rows are only ever added');
    }
  });
});

describe('tampering', () => {
  const named = async (text: string) => {
    await world.chain(10);
    const anchor = await anchored();
    await world.tamper(text);
    return (await world.verify({ anchors: [anchor] })).fault;
  };

  it.each([
    'reason = null',
    "actor = 'somebody'",
    `details = details || '{"n": 8}'`,
    "at = at + interval '1 microsecond'",
    "target_id = '7'",
  ])('names an edited row: %s', async (change) => {
    expect(await named(`update ops.audit_log set ${change} where seq = 4`)).toMatchObject({
      kind: 'edited',
      n: 4,
      seq: 4,
    });
  });

  it('names a row deleted in the middle', async () => {
    expect(await named('delete from ops.audit_log where seq = 4')).toMatchObject({ kind: 'missing', n: 4, seq: 4 });
  });

  it('names a row deleted with its link', async () => {
    const text = 'delete from ops.audit_log where seq = 4; delete from ops.audit_chain where n = 4';
    expect(await named(text)).toMatchObject({ kind: 'missing', n: 4 });
  });

  it('names the place of a row that was deleted and whose place was closed', async () => {
    const text = `delete from ops.audit_log where seq = 4; delete from ops.audit_chain where n = 4;
      update ops.audit_chain set n = n + 100 where n > 4; update ops.audit_chain set n = n - 101 where n > 100`;
    expect(await named(text)).toMatchObject({ n: 4 });
  });

  it.each([
    ['contents', swapContents(4, 7)],
    ['contents of neighbours', swapContents(4, 5)],
    ['links', swapLinks(4, 7)],
    ['links of neighbours', swapLinks(4, 5)],
  ])('names two rows whose %s were swapped', async (_, text) => {
    const fault = await named(text);
    expect(fault).toMatchObject({ kind: 'swapped', n: 4 });
    expect(fault?.what).toMatch(/number [57]/);
  });

  it('names a cut tail, and tells it from an older database', async () => {
    const text = 'delete from ops.audit_log where seq > 8; delete from ops.audit_chain where n > 8';
    expect(await named(text)).toMatchObject({ kind: 'tail_cut', n: 9 });
  });

  it('names a cut tail over which work went on', async () => {
    await world.chain(10);
    const anchor = await anchored();
    await world.tamper('delete from ops.audit_log where seq > 8; delete from ops.audit_chain where n > 8');
    await world.chain(5);
    expect((await world.verify({ anchors: [anchor] })).fault).toMatchObject({ kind: 'restored', n: 10 });
  });

  it('names a row that was deleted before it had a link', async () => {
    await world.act(1);
    await world.tamper('delete from ops.audit_log where seq = 1');
    expect((await world.verify()).fault).toMatchObject({ kind: 'missing', n: null, seq: 1 });
  });

  it('names a row that was written past the trigger', async () => {
    const text = `insert into ops.audit_log (actor, actor_name, via, action, target_type, target_id, correlation_id)
      values ('x', 'x', 'http', 'thing.changed', 'thing', '1', 'none')`;
    expect(await named(text)).toMatchObject({ kind: 'not_linked', seq: 11 });
  });

  it('names the first row of those that somebody without the key wrote anew', async () => {
    await world.chain(10);
    await rewriteFrom4(undefined);
    expect((await world.verify()).fault).toMatchObject({ kind: 'unsealed', n: 4 });
  });

  it('names it as well when it was sealed with another key under the name of ours', async () => {
    await world.chain(10);
    await rewriteFrom4({ id: key.id, key: randomBytes(32) });
    expect((await world.verify()).fault).toMatchObject({ kind: 'unsealed', n: 4 });
  });

  it('says that links have no seal, where all were taken off', async () => {
    expect(await named('update ops.audit_chain set seal = null, key_id = null where n > 6')).toMatchObject({
      kind: 'unsealed',
      n: 7,
      what: expect.stringContaining('it has no seal') as string,
    });
  });

  it('finds by the anchor what a chain without a key cannot tell', async () => {
    await world.chain(10);
    const anchor = await anchored();
    await rewriteFrom4(undefined);
    expect(await world.verify({ keys: [] })).toMatchObject({ ok: true, sealed: false });
    expect((await world.verify({ keys: [], anchors: [anchor] })).fault).toMatchObject({ kind: 'restored', n: 10 });
  });

  it('finds any change of any row', async () => {
    await world.chain(20);
    const changes = [
      "reason = 'x'",
      "action = 'thing.other'",
      "details = '{}'",
      "via = 'system'",
      "correlation_id = 'x'",
    ];
    const rows = fc.record({ seq: fc.integer({ min: 1, max: 20 }), change: fc.constantFrom(...changes) });
    await fc.assert(
      fc.asyncProperty(fc.array(rows, { minLength: 1, maxLength: 3 }), async (edits) => {
        await world.tamper('create table kept as select * from ops.audit_log');
        for (const { seq, change } of edits)
          await world.tamper(`update ops.audit_log set ${change} where seq = ${seq}`);
        const { fault } = await world.verify();
        expect(fault).toMatchObject({ kind: 'edited', n: Math.min(...edits.map(({ seq }) => seq)) });
        await world.tamper(
          'delete from ops.audit_log; insert into ops.audit_log overriding system value select * from kept; drop table kept',
        );
        expect(await world.verify()).toMatchObject({ ok: true });
      }),
      { numRuns: 15 },
    );
  });
});

describe('an older database', () => {
  let copy: AuditWorld | undefined;
  afterAll(() => copy?.close());

  it('is named, as it is and after work went on in it', async () => {
    // What a backup of the moment after five acts holds: the same rows, and the numbering as far as it had come.
    copy = world;
    world = await openAuditWorld();
    await world.chain(5);
    await world.tamper(
      'create schema backup; create table backup.log as table ops.audit_log; create table backup.chain as table ops.audit_chain',
    );
    await world.chain(5);
    const anchor = await anchored();
    await world.tamper(`delete from ops.audit_log; delete from ops.audit_chain;
      insert into ops.audit_log overriding system value table backup.log; insert into ops.audit_chain table backup.chain;
      select setval('ops.audit_log_seq_seq', 5)`);
    expect((await world.verify({ anchors: [anchor] })).fault).toMatchObject({ kind: 'restored', n: 6 });
    await world.chain(8);
    expect((await world.verify({ anchors: [anchor] })).fault).toMatchObject({ kind: 'restored', n: 10 });
    expect(await rowsOf(world.db)).toHaveLength(13);
  });
});
