import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { areaCodesOf } from '../features/subscriptions/index.ts';
import { sellLead } from '../testing/distribution.ts';
import { openTestWorld, type TestWorld } from '../testing/world.ts';
import { BackfillWriter } from './backfill-writer.ts';
import { answersTo } from './demand.ts';
import { writeFinalStates } from './final-states.ts';
import { type History, tellHistory } from './history.ts';
import { type MarketNiche, pauseUnfunded, sellDown } from './market.ts';
import { postcodeIn, somePlace } from './places.ts';
import { streamOf } from './random.ts';
import { profiles } from './shape.ts';
import { worldNiches } from './world-catalogue.ts';

const leads = 40;
/** Sales that are compared, and more. The leads that takes depend on the hour: late in the day, many buyers have had their number. */
const sales = 40;
const mostLeads = 400;

describe('the market of a history', () => {
  let world: TestWorld;
  let history: History;
  beforeAll(async () => {
    world = await openTestWorld();
    history = await world.db.transaction(async (tx) => {
      const rows = new BackfillWriter(tx);
      const options = {
        seed: 3,
        profile: profiles.S,
        days: 10,
        now: Date.now(),
        passwordHash: 'none',
        consentText: '',
      };
      const told = await tellHistory({ ...options, rows, pause: () => undefined });
      await rows.finish();
      await writeFinalStates(tx, told, options.now);
      return told;
    });
  });
  afterAll(() => world.close());

  it('sells as the product does: the same lead to the same buyers, in the same places, for the same money', async () => {
    let sold = 0;
    for (let n = 0; n < leads || (sold <= sales && n < mostLeads); n += 1) {
      const { niche, rank } = nicheOf(history, n);
      const random = streamOf(3, 'next', n);
      const areas = areaCodesOf(postcodeIn(somePlace(random), random));
      const form = answersTo(worldNiches(profiles.S.niches)[rank]?.form_schema.fields ?? [], random);
      const lead = await world.make.lead({ nicheId: niche.id, status: 'approved', areaCodes: areas, form });
      await sellLead(world.db, lead.id, world);
      const inModel = sellInModel(niche, { areas, form });
      expect(await soldTo(world, lead.id)).toEqual(inModel);
      sold += inModel.length;
    }
    expect(sold).toBeGreaterThan(sales);
    expect(await standingsIn(world)).toEqual(standingsOf(history));
  });
});

function nicheOf({ niches }: History, n: number): { niche: MarketNiche; rank: number } {
  // The orphan too.
  const rank = n % niches.length;
  return { niche: niches[rank] as MarketNiche, rank };
}

function sellInModel(niche: MarketNiche, { areas, form }: { areas: string[]; form: unknown }) {
  const [first, next] = [niche.nextStartOrd ?? niche.levels[0]?.ord ?? 1, niche.levels.length];
  const at = Date.now();
  const sold = sellDown(niche, first, { areas, form, at }).flatMap((level) => level.sales);
  niche.nextStartOrd = (first % next) + 1;
  for (const { posting } of sold) pauseUnfunded(posting.provider, 'run', at);
  return sold.map(({ subscription, slot, slotCap, dayNumber, posting }) => ({
    subscription_id: subscription.id,
    slot,
    slot_cap: slotCap,
    cap_n: dayNumber,
    amount_cents: posting.amountCents,
    account_version: posting.version,
    balance_after_cents: posting.balanceCents,
  }));
}

async function soldTo({ db }: TestWorld, leadId: string) {
  const { rows } = await db.query(sql`
    select a.subscription_id, a.slot, a.slot_cap, a.cap_n, e.amount_cents, e.account_version, e.balance_after_cents
    from assignment a join ledger_entry e on e.assignment_id = a.id where a.lead_id = ${leadId} order by a.slot`);
  return rows;
}

async function standingsIn({ db }: TestWorld) {
  const { rows } = await db.query(sql`
    select s.id, s.status, s.vt, s.day_key::text as day, s.day_n, a.balance_cents, a.low_alerted_at is not null as told
    from subscription s join account a using (provider_id) order by s.id`);
  return rows;
}

function standingsOf({ providers }: History) {
  return providers
    .flatMap(({ subscriptions, balance, lowAlertedAt }) =>
      subscriptions.map(({ id, status, vt, dayKey, dayN }) => {
        return { id, status, vt, day: dayKey, day_n: dayN, balance_cents: balance, told: lowAlertedAt !== null };
      }),
    )
    .toSorted((one, other) => (one.id < other.id ? -1 : 1));
}
