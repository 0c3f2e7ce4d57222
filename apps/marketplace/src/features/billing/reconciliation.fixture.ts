import { randomUUID } from 'node:crypto';
import { type Database, findBreaches, type Queryable, sql, systemActor } from '@fmhl/ops';
import { makeUser } from '../../testing/auth.ts';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { nth } from '../../testing/nth.ts';
import { openTestWorld } from '../../testing/world.ts';
import { adjust } from './adjust.ts';
import { moneyInvariants } from './invariants.ts';
import { reconcileBalances, type ReconciliationOptions } from './reconcile-balances.ts';
import { billingRoutes } from './routes.ts';

export interface CorrectionRecord {
  action: string;
  cause: string;
  diff_cents: number;
  broken_version: number | null;
}

/** Accounts to be brought into disorder by hand, and what reconciliation makes of them. */
export async function openDisorder() {
  const world = await openTestWorld();
  const { db } = world;
  const app = await openTestServer(world.log, {
    routes: (server) => billingRoutes(server, { db, metrics: world.metrics, log: world.log, depositMode: 'instant' }),
  });
  const asAdmin = async () => signedInAs((await makeUser(db)).id, 'admin');
  const drift = (providerId: string, cents: number) =>
    db.query(sql`update account set balance_cents = balance_cents + ${cents} where provider_id = ${providerId}`);
  return {
    world,
    db,
    app,
    asAdmin,
    drift,
    /** What a test left in disorder must not be found by the next. */
    async clear() {
      await unguarded(db, ['delete from balance_correction', 'delete from ledger_entry', 'delete from account']);
      world.lines.length = 0;
    },
    /** Statements that triggers would refuse. */
    unguarded: (statements: readonly string[]) => unguarded(db, statements),
    run: (options: Partial<ReconciliationOptions> = {}) =>
      reconcileBalances({
        db,
        runId: randomUUID(),
        correlationId: 'of-a-test',
        log: world.log,
        metrics: world.metrics,
        ...options,
      }),
    /** A provider with two entries, of $100 and $5, and so many cents too much. */
    async drifted(cents: number): Promise<string> {
      const { id: providerId } = await world.make.provider();
      await world.make.credit({ providerId, amountCents: 10_000 });
      await world.make.credit({ providerId, amountCents: 500 });
      await drift(providerId, cents);
      return providerId;
    },
    take: (providerId: string, cents: number) =>
      db.transaction((tx) =>
        adjust(tx, { providerId, amountCents: -cents, memo: 'taken by a test', actor: systemActor }, world),
      ),
    async settle(providerId: string, memo = 'looked at it with finance') {
      const url = `/admin/providers/${providerId}/reconcile`;
      return app.inject({ method: 'POST', url, headers: await asAdmin(), payload: { memo } });
    },
    ...looksAt(db),
    logged: (event: string): { metadata: Record<string, unknown> }[] =>
      world.lines.map((line) => JSON.parse(line)).filter((line) => line.event === event),
    async close() {
      await app.close();
      await world.close();
    },
  };
}

export type Disorder = Awaited<ReturnType<typeof openDisorder>>;

/** What became of accounts. */
function looksAt(db: Database) {
  return {
    async balanceOf(providerId: string): Promise<number> {
      const { rows } = await db.query<{ balance_cents: number }>(
        sql`select balance_cents from account where provider_id = ${providerId}`,
      );
      return nth(rows, 0).balance_cents;
    },
    async recordsOf(providerId: string): Promise<CorrectionRecord[]> {
      const { rows } = await db.query<CorrectionRecord>(sql`
        select action, cause, diff_cents, broken_version from balance_correction
        where provider_id = ${providerId} order by created_at`);
      return rows;
    },
    /** The names of the invariants of money that are broken. */
    async brokenMoney(on: Queryable = db): Promise<string[]> {
      const broken: string[] = [];
      for (const one of moneyInvariants) if ((await findBreaches(on, one)).count > 0) broken.push(one.name);
      return broken;
    },
  };
}

async function unguarded(db: Database, statements: readonly string[]): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.query(sql`set local session_replication_role = replica`);
    for (const text of statements) await tx.query({ name: '', text, values: [] });
  });
}
