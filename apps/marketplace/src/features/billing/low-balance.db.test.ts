import { type Database, sql, systemActor } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sellLead } from '../../testing/distribution.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { adjust } from './adjust.ts';

let world: TestWorld;
let db: Database;

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
});
afterAll(() => world.close());

/** An account of $50 whose owner wants to hear below $20. */
async function noted(): Promise<string> {
  const { id: providerId } = await world.make.provider();
  await world.make.credit({ providerId, amountCents: 5_000, lowBalanceCents: 2_000 });
  return providerId;
}

const move = (providerId: string, amountCents: number) =>
  db.transaction((tx) => adjust(tx, { providerId, amountCents, memo: 'moved by a test', actor: systemActor }, world));

async function notes(providerId: string): Promise<{ mails: number; facts: number }> {
  const { rows } = await db.query<{ mails: number; facts: number }>(sql`
    select (select count(*)::int from email where template = 'low_balance' and related_id = ${providerId}) as mails,
           (select count(*)::int from ops.event_outbox
            where type = 'balance.low' and payload ->> 'provider_id' = ${providerId}) as facts`);
  return rows[0] ?? { mails: 0, facts: 0 };
}

describe('the note about a low balance', () => {
  it('is sent once for each crossing: a credit back above the threshold arms it again', async () => {
    const providerId = await noted();
    const seen: number[] = [];
    for (const cents of [-3_000, -1, -500, 400, -100, 200, -1_000, 1_000, -1_500]) {
      await move(providerId, cents);
      seen.push((await notes(providerId)).mails);
    }
    // 2000 is not below 2000; 1999 is; then lower, up but still below, down; 1999 again is below; 999; 1999; 499.
    expect(seen).toEqual([0, 1, 1, 1, 1, 1, 1, 1, 1]);
    await move(providerId, 1_501);
    await move(providerId, -1);
    expect(await notes(providerId)).toEqual({ mails: 2, facts: 2 });
  });

  it('is sent once when ten take money at once', async () => {
    const providerId = await noted();
    await Promise.all(Array.from({ length: 10 }, () => move(providerId, -400)));
    expect(await notes(providerId)).toEqual({ mails: 1, facts: 1 });
  });

  it('is sent once when ten sales and ten debits cross it together', async () => {
    const providerId = await noted();
    const sales = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const { id: nicheId } = await world.make.niche();
        const { id: levelId } = await world.make.level({ nicheId, priceCents: 500 });
        await world.make.subscription({ providerId, levelId });
        return (await world.make.lead({ nicheId })).id;
      }),
    );
    await Promise.all([
      ...sales.map((leadId) => sellLead(db, leadId, { ...world, now: () => new Date() })),
      ...Array.from({ length: 5 }, () => move(providerId, -200)),
    ]);
    expect(await notes(providerId)).toEqual({ mails: 1, facts: 1 });
  });

  it('comes with the next debit when the threshold is raised above the balance', async () => {
    const providerId = await noted();
    await world.make.credit({ providerId, amountCents: 1, lowBalanceCents: 9_000 });
    expect(await notes(providerId)).toEqual({ mails: 0, facts: 0 });
    await move(providerId, -1);
    expect(await notes(providerId)).toEqual({ mails: 1, facts: 1 });
  });
});
