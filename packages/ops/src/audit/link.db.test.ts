import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { opsMigrations } from '../ops.ts';
import { openMigrator, sql } from '../postgres/index.ts';
import { ana, type AuditWorld, key, openAuditWorld, rowsOf } from './audit.fixture.ts';
import { audit } from './index.ts';
import { ForeignHead, linkOnce } from './link.ts';

let world: AuditWorld;
beforeEach(async () => {
  world = await openAuditWorld();
});
afterEach(() => world.close());

const entry = (targetId: string) => ({ actor: ana, action: 'thing.changed', targetType: 'thing', targetId });
const next = { id: 'second', key: randomBytes(32) };

describe('linking', () => {
  it('gives rows dense numbers whatever their own leave out', async () => {
    await world.act(1);
    const undone = world.db.transaction(async (tx) => {
      await audit(tx, entry('undone'));
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    await world.act(3);
    await world.link();
    expect((await rowsOf(world.db)).map(({ n, seq }) => [n, seq])).toEqual([
      [1, 1],
      [2, 3],
    ]);
  });

  it('does not wait for a transaction that is still open, and links it after its commit', async () => {
    const audited = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const open = world.db.transaction(async (tx) => {
      await audit(tx, entry('slow'));
      audited.resolve();
      await goOn.promise;
    });
    await audited.promise;
    await world.act(2);
    await world.link();
    expect((await rowsOf(world.db)).map(({ seq }) => seq)).toEqual([2]);
    goOn.resolve();
    await open;
    await world.link();
    expect((await rowsOf(world.db)).map(({ seq }) => seq)).toEqual([2, 1]);
    expect(await world.verify()).toMatchObject({ ok: true, checked: 2 });
  });

  it('keeps the chain dense under a hundred writers and four linkers', async () => {
    let isWriting = true;
    const linkers = Array.from({ length: 4 }, async () => {
      while (isWriting) await linkOnce({ db: world.db, keys: [key] });
    });
    await Promise.all(
      Array.from({ length: 100 }, async (_, writer) => {
        for (let n = 0; n < 5; n += 1) {
          const undo = (writer + n) % 7 === 0;
          await world.db
            .transaction(async (tx) => {
              await audit(tx, entry(`${writer}-${n}`));
              await tx.query(sql`select pg_sleep(0.002)`);
              if (undo) throw new Error('undone');
            })
            .catch(() => {});
        }
      }),
    );
    isWriting = false;
    await Promise.all(linkers);
    await world.link();
    const { rows } = await world.db.query<{ count: number }>(sql`select count(*) from ops.audit_log`);
    const links = await rowsOf(world.db);
    expect(links.map(({ n }) => n)).toEqual(Array.from({ length: rows[0]?.count ?? 0 }, (_, at) => at + 1));
    expect(new Set(links.map(({ seq }) => seq)).size).toBe(links.length);
    expect(await world.verify()).toMatchObject({ ok: true, pending: { count: 0 } });
  });

  it('links rows that a statement of several wrote', async () => {
    await world.db.query(sql`
      insert into ops.audit_log (actor, actor_name, via, action, target_type, target_id, correlation_id)
      select 'a', 'a', 'system', 'thing.changed', 'thing', g::text, 'none' from generate_series(1, 2500) g`);
    await world.link();
    expect(await world.verify({ pageSize: 1_000 })).toMatchObject({ ok: true, checked: 2_500 });
  });

  it('takes in what was in the log before there was a chain', async () => {
    const migrator = openMigrator({ url: world.url, sets: [opsMigrations] });
    await migrator.down((await migrator.status()).length - 2);
    await world.act(1);
    await world.act(2);
    await migrator.up();
    await world.act(3);
    await world.link();
    expect(await world.verify()).toMatchObject({ ok: true, checked: 3 });
  });

  it('is not held up by what waits without being there', async () => {
    await world.db.query(sql`insert into ops.audit_pending select -g from generate_series(1, 2000) g`);
    await world.act(1);
    await world.link();
    expect(await rowsOf(world.db)).toHaveLength(1);
    expect((await world.verify()).fault).toMatchObject({ kind: 'missing', seq: -2_000 });
  });

  it('takes away what somebody marked as waiting although it is linked', async () => {
    await world.chain(2);
    await world.db.query(sql`insert into ops.audit_pending values (1)`);
    await world.act(3);
    await world.link();
    expect(await world.verify()).toMatchObject({ ok: true, checked: 3, pending: { count: 0 } });
  });
});

describe('keys', () => {
  it('may change: what the key before sealed is gone on from, and verified as long as it is given', async () => {
    await world.chain(2);
    await world.act(3);
    await world.link([next, key]);
    expect((await rowsOf(world.db)).map(({ key_id }) => key_id)).toEqual(['first', 'first', 'second']);
    expect(await world.verify({ keys: [next, key] })).toMatchObject({ ok: true });
  });

  it('that are gone are vouched for by the links after them', async () => {
    await world.chain(2);
    await world.act(3);
    await world.link([next, key]);
    expect(await world.verify({ keys: [next] })).toMatchObject({ ok: true });
  });

  it('that are not the host’s leave the end of a chain without proof', async () => {
    await world.chain(2);
    expect((await world.verify({ keys: [next] })).fault).toMatchObject({ kind: 'unsealed', n: 1 });
  });

  it('of others are not gone on from, nor a link without a seal', async () => {
    await world.chain(2);
    await world.act(3);
    await expect(linkOnce({ db: world.db, keys: [next] })).rejects.toThrow(ForeignHead);
    await expect(linkOnce({ db: world.db, keys: [] })).rejects.toThrow(ForeignHead);
    await world.tamper('update ops.audit_chain set seal = null, key_id = null');
    await expect(linkOnce({ db: world.db, keys: [key] })).rejects.toThrow('link 2 is not sealed by a key of this host');
    expect(await rowsOf(world.db)).toHaveLength(2);
  });

  it('are not needed: the chain is of plain hashes then', async () => {
    await world.act(1);
    await world.link([]);
    await world.act(2);
    await world.link([]);
    expect(await world.verify({ keys: [] })).toMatchObject({ ok: true, checked: 2, sealed: false });
    await world.tamper("update ops.audit_log set reason = 'another' where seq = 2");
    expect((await world.verify({ keys: [] })).fault).toMatchObject({ kind: 'edited', n: 2 });
  });
});
