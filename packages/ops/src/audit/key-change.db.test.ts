import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { ana, type AuditWorld, key, openAuditWorld, rowsOf } from './audit.fixture.ts';
import { adoptAuditChain, changeAuditKey } from './index.ts';
import { ForeignHead, linkOnce } from './link.ts';

let world: AuditWorld;
beforeEach(async () => {
  world = await openAuditWorld();
});
afterEach(() => world.close());

const next = { id: 'second', key: randomBytes(32) };
const reason = 'the key was stolen';
const keyIds = async () => (await rowsOf(world.db)).map(({ key_id }) => key_id);
const lastAct = async () =>
  (
    await world.db.query<{ actor: string; action: string; reason: string | null; details: object }>(
      sql`select actor, action, reason, details from ops.audit_log order by seq desc limit 1`,
    )
  ).rows[0];

describe('a change of the key', () => {
  it('is an act of its own under the new key, so that the chain goes on without the previous one', async () => {
    await world.chain(2);
    expect(await changeAuditKey(world.db, { keys: [next, key], actor: ana })).toBe(true);
    expect(await keyIds()).toEqual(['first', 'first', 'second']);
    expect(await lastAct()).toMatchObject({ actor: ana.id, action: 'keys.changed', details: { from: 'first', n: 2 } });
    await world.act(3);
    await world.link([next]);
    expect(await world.verify({ keys: [next] })).toMatchObject({ ok: true, checked: 4, adoptions: [] });
  });

  it('takes along what waits, and is made once', async () => {
    await world.chain(1);
    await world.act(2);
    const change = { keys: [next, key], actor: ana };
    await changeAuditKey(world.db, change);
    expect(await changeAuditKey(world.db, change)).toBe(false);
    expect(await keyIds()).toEqual(['first', 'second', 'second']);
  });

  it('has nothing to do where nothing is linked, and needs the key of the newest link', async () => {
    expect(await changeAuditKey(world.db, { keys: [next, key], actor: ana })).toBe(false);
    await world.chain(1);
    await expect(changeAuditKey(world.db, { keys: [next], actor: ana })).rejects.toThrow(ForeignHead);
    expect(await lastAct()).toMatchObject({ action: 'thing.changed' });
  });
});

describe('an adoption', () => {
  it('goes on after links of a key that is gone, and is told by every verification', async () => {
    await world.chain(2);
    await world.act(3);
    await expect(linkOnce({ db: world.db, keys: [next] })).rejects.toThrow(ForeignHead);
    expect(await adoptAuditChain(world.db, { keys: [next], actor: ana, reason })).toBe(2);
    expect(await keyIds()).toEqual(['first', 'first', 'second', 'second']);
    expect(await lastAct()).toMatchObject({ action: 'keys.adopted', reason, details: { from: 'first', n: 2 } });
    await world.act(4);
    await world.link([next]);
    const verdict = await world.verify({ keys: [next] });
    expect(verdict).toMatchObject({ ok: true, checked: 5, adoptions: [{ n: 4 }] });
    expect(Date.now() - Date.parse(verdict.adoptions[0]?.at ?? '')).toBeLessThan(60_000);
  });

  it('still leaves what was changed before it to be found', async () => {
    await world.chain(3);
    await adoptAuditChain(world.db, { keys: [next], actor: ana, reason });
    await world.tamper("update ops.audit_log set reason = 'another' where seq = 2");
    expect((await world.verify({ keys: [next] })).fault).toMatchObject({ kind: 'edited', n: 2 });
  });

  it('is of no link under a key that the host has, and of no forged one', async () => {
    expect(await adoptAuditChain(world.db, { keys: [key], actor: ana, reason })).toBeUndefined();
    await world.chain(2);
    expect(await adoptAuditChain(world.db, { keys: [next, key], actor: ana, reason })).toBeUndefined();
    await world.tamper(`update ops.audit_chain set seal = sha256('x') where n = 2`);
    await expect(adoptAuditChain(world.db, { keys: [key], actor: ana, reason })).rejects.toThrow('invalid');
    await world.tamper('update ops.audit_chain set seal = null, key_id = null where n = 2');
    await expect(adoptAuditChain(world.db, { keys: [next], actor: ana, reason })).rejects.toThrow('absent');
    expect(await rowsOf(world.db)).toHaveLength(2);
  });
});
