import { makeProvider } from '../../apps/marketplace/src/testing/subscriptions.ts';
import { sql } from '../../packages/ops/src/postgres/index.ts';
import { runNow } from './money.ts';
import type { System } from './system.ts';

/** A collector keeps what it read for 10 s. */
const shownWithinMs = 25_000;

/** A balance that somebody moved past its ledger, found by the schedule that asks what must always be true, and put back. */
export async function unsoundBalance(system: System): Promise<void> {
  const { watch, people, market } = system;
  const { id } = await makeProvider(market.db);
  await people.adjust(id, 5_000);
  const drift = async (cents: number) => {
    await market.db.query(sql`update account set balance_cents = balance_cents + ${cents} where provider_id = ${id}`);
    await runNow(system, 'invariants');
  };
  const violations = (becomes: number) =>
    [{ metric: 'invariant_violations', labels: { invariant: 'I5' }, becomes }] as const;
  await watch.sees(
    'a look finds a balance that its ledger does not explain',
    () => drift(7),
    violations(1),
    shownWithinMs,
  );
  await watch.sees('a look finds it put back', () => drift(-7), violations(0), shownWithinMs);
}
