import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AuditWorld, openAuditWorld } from './audit.fixture.ts';

let world: AuditWorld;
beforeAll(async () => {
  world = await openAuditWorld();
  await world.chain(10);
});
afterAll(() => world.close());

/** Tampers, looks at the last four links, and takes it back. */
async function lookAfter(tampering: string, undo: string) {
  await world.tamper(tampering);
  const verdict = await world.verify({ newest: 4 });
  await world.tamper(undo);
  return verdict;
}

const another = (seq: number) => `update ops.audit_log set reason = 'another' where seq = ${seq}`;
const asBefore = (seq: number) => `update ops.audit_log set reason = 'because of ${seq}' where seq = ${seq}`;

describe('a look at the newest links', () => {
  it('reads them alone, and finds them whole', async () => {
    expect(await world.verify({ newest: 4 })).toMatchObject({ ok: true, checked: 4, head: { n: 10 } });
    expect(await world.verify({ newest: 100 })).toMatchObject({ ok: true, checked: 10 });
  });

  it('names a row among them that was changed', async () => {
    expect(await lookAfter(another(8), asBefore(8))).toMatchObject({ ok: false, fault: { kind: 'edited', n: 8 } });
  });

  it('takes the rest as it is: that is for a look at everything', async () => {
    expect(await lookAfter(another(3), asBefore(3))).toMatchObject({ ok: true, checked: 4 });
    expect(await world.verify()).toMatchObject({ ok: true, checked: 10 });
  });

  it('finds a row since then that was written past the triggers', async () => {
    const stray = `insert into ops.audit_log (actor, actor_name, via, action, target_type, target_id, correlation_id)
                   values ('x', 'x', 'x', 'thing.changed', 'thing', '99', 'x')`;
    const verdict = await lookAfter(stray, `delete from ops.audit_log where target_id = '99'`);
    expect(verdict).toMatchObject({ ok: false, fault: { kind: 'not_linked' } });
  });
});
