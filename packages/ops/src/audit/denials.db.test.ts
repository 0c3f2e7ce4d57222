import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogger, runWithContext } from '../logging/index.ts';
import { sql } from '../postgres/index.ts';
import { ana, type AuditWorld, openAuditWorld } from './audit.fixture.ts';
import { openDenials } from './index.ts';

let world: AuditWorld;
beforeEach(async () => {
  world = await openAuditWorld();
});
afterEach(() => world.close());

const names = { service: 'test', version: 'test', instance: 'test', bootId: 'test' };
const log = createLogger({ level: 'error', format: 'json', ...names, destination: { write() {} } });
const denial = { actor: ana, route: 'GET /things/:id', code: 'missing_permission', permission: 'thing.read' };

const counts = async () => {
  const { rows } = await world.db.query<{ count: number }>(
    sql`select (details ->> 'count')::int as count from ops.audit_log order by seq`,
  );
  return rows.map(({ count }) => count);
};

describe('denials', () => {
  it('give one row at once, and one for all that follow within the time', async () => {
    const denials = openDenials({ db: world.db, log }, { everyMs: 300 });
    for (let n = 0; n < 50; n += 1) denials.record(denial);
    await vi.waitUntil(async () => (await counts()).length === 1);
    await vi.waitUntil(async () => (await counts()).length === 2);
    expect(await counts()).toEqual([1, 49]);
    await denials.close();
  });

  it('keep each its reason, and what is held back the id of the latest request', async () => {
    const denials = openDenials({ db: world.db, log }, { everyMs: 300 });
    const ask = (correlationId: string, code: string) =>
      runWithContext({ correlationId }, () => denials.record({ ...denial, code }));
    ask('first-request', 'missing_permission');
    ask('second-request', 'mfa_stale');
    ask('third-request', 'missing_permission');
    ask('fourth-request', 'missing_permission');
    await vi.waitUntil(async () => (await counts()).length === 3);
    const { rows } = await world.db.query(sql`
      select correlation_id as id, details ->> 'code' as code, details ->> 'count' as count from ops.audit_log order by 1`);
    expect(rows).toEqual([
      { id: 'first-request', code: 'missing_permission', count: '1' },
      { id: 'fourth-request', code: 'missing_permission', count: '2' },
      { id: 'second-request', code: 'mfa_stale', count: '1' },
    ]);
    await denials.close();
  });

  it('are counted by actor and route, and written in the end', async () => {
    const denials = openDenials({ db: world.db, log });
    denials.record(denial);
    denials.record({ ...denial, route: 'GET /others' });
    denials.record({ ...denial, actor: { ...ana, id: 'bob' } });
    denials.record(denial);
    denials.record(denial);
    await denials.close();
    expect((await counts()).toSorted((a, b) => a - b)).toEqual([1, 1, 1, 2]);
  });
});
