import { beforeAll, describe, expect, it } from 'vitest';
import { compileForm } from '../features/subscriptions/index.ts';
import { type History, tellHistory } from './history.ts';
import { demand, type Profile, profiles, supply } from './shape.ts';
import type { RowOf, TableName } from './tables.ts';
import { worldNiches } from './world-catalogue.ts';

const now = Date.UTC(2026, 5, 15, 12);
const profile: Profile = { ...profiles.M, providers: 250, leads: 2_500, niches: 8 };
const gathered = new Map<TableName, unknown[]>();
let history: History;

function gather(name: TableName, row: unknown): void {
  const rows = gathered.get(name) ?? [];
  gathered.set(name, rows);
  rows.push(row);
}

beforeAll(async () => {
  history = await tellHistory({
    seed: 7,
    profile,
    days: 30,
    now,
    rows: { add: gather },
    passwordHash: 'none',
    consentText: 'yes',
    pause: () => undefined,
  });
});

const rowsOf = <Name extends TableName>(name: Name) => (gathered.get(name) ?? []) as RowOf<Name>[];

function share<T>(items: readonly T[], holds: (item: T) => boolean): number {
  return items.filter(holds).length / items.length;
}

/** Shares of some hundred draws: three deviations of chance are about so much. */
function expectNear(value: number, knob: number, tolerance = 0.08): void {
  expect(Math.abs(value - knob)).toBeLessThan(tolerance);
}

describe('a made-up history', () => {
  it('has as many leads and providers as its profile says, all of the time it tells', () => {
    expect(rowsOf('lead')).toHaveLength(2_500);
    expect(rowsOf('provider')).toHaveLength(250);
    const times = rowsOf('lead').map((lead) => lead.created_at ?? 0);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(now - 30 * 86_400_000);
    for (const name of ['assignment', 'ledger_entry', 'inbox_mark', 'payment'] as const)
      expect(rowsOf(name).filter((row) => (row.created_at ?? 0) > now)).toEqual([]);
  });

  it('lets as many confirm and be approved as the knobs say', () => {
    const leads = rowsOf('lead').filter((lead) => (lead.created_at ?? 0) < now - 2 * 86_400_000);
    expectNear(
      share(leads, (lead) => lead.confirmed_at !== null),
      demand.confirm.share,
    );
    const reviewed = leads.filter((lead) => lead.confirmed_at !== null && lead.duplicate_of === null);
    expectNear(
      share(reviewed, (lead) => lead.approved_at !== null),
      demand.approve.share,
    );
    expectNear(
      share(leads, (lead) => lead.duplicate_of !== null),
      0.035,
      0.03,
    );
  });

  it('asks for niches by Zipf, and hardly for the orphan, which hardly anybody sells', () => {
    const counts = history.niches.map(({ id }) => rowsOf('lead').filter((lead) => lead.niche_id === id).length);
    expect(counts[0]).toBeGreaterThan((counts[1] ?? 0) * 1.4);
    expect(counts[1]).toBeGreaterThan((counts[3] ?? 0) * 1.3);
    expect((counts.at(-1) ?? 0) / 2_500).toBeLessThan(0.03);
    const orphan = new Set(history.niches.at(-1)?.levels.map(({ id }) => id));
    expect(share(rowsOf('subscription'), (one) => orphan.has(one.level_id ?? ''))).toBeLessThan(0.015);
  });

  it('asks by day more than by night', () => {
    const hours = rowsOf('lead').map((lead) => new Date(lead.created_at ?? 0).getUTCHours());
    // From 15 to 21 it is day in every zone, from 7 to 10 it is night.
    expect(hours.filter((hour) => hour >= 15 && hour < 18).length).toBeGreaterThan(
      hours.filter((hour) => hour >= 7 && hour < 10).length * 4,
    );
  });

  it('spreads the areas and the money of providers as the knobs say', () => {
    const areas = Map.groupBy(rowsOf('subscription_area'), (one) => one.subscription_id);
    const kinds = [...areas.values()].map((some) => some[0]?.area ?? '');
    expectNear(
      share(kinds, (area) => area === '*' || area === 'US'),
      supply.areaShares.national,
    );
    expectNear(
      share(kinds, (area) => /^US-[A-Z]/.test(area)),
      supply.areaShares.states,
    );
    const openings = history.providers.map(({ draft }) => draft.openingCents).sort((a, b) => a - b);
    expectNear(
      share(openings, (cents) => cents < 1_500),
      supply.balance.belowPriceShare,
    );
    expectNear((openings[125] ?? 0) / supply.balance.medianCents, 0.95, 0.25);
    expectNear(
      share(history.providers, ({ draft }) => draft.topUp === 'same_day'),
      supply.topUpShares.sameDay,
    );
  });

  it('lets buyers open, accept and report as the knobs say', () => {
    const sold = rowsOf('assignment').filter((one) => (one.assigned_at ?? 0) < now - 8 * 86_400_000);
    const marks = new Map(rowsOf('inbox_mark').map((mark) => [mark.assignment_id, mark]));
    const reported = new Map(
      rowsOf('bad_lead_report').flatMap((one) => (one.reported_at === null ? [] : [[one.assignment_id, one]])),
    );
    expectNear(
      share(sold, (one) => marks.get(one.id)?.decision === 'accepted'),
      demand.decision.accepted,
    );
    expectNear(
      share(sold, (one) => marks.get(one.id)?.decision === 'declined'),
      demand.decision.declined,
    );
    expectNear(
      share(sold, (one) => reported.has(one.id)),
      demand.report.share,
      0.03,
    );
  });

  it('has forms that the intake would take', () => {
    const judges = new Map(
      worldNiches(profile.niches).map((niche, rank) => [history.niches[rank]?.id, compileForm(niche.form_schema)]),
    );
    const refused = rowsOf('lead').filter(
      (lead) => judges.get(lead.niche_id ?? '')?.(JSON.parse(lead.form ?? '{}')).ok !== true,
    );
    expect(refused).toEqual([]);
  });

  it('charges nobody below zero, and gives back what was charged, once', () => {
    const entries = rowsOf('ledger_entry');
    expect(entries.filter((entry) => (entry.balance_after_cents ?? -1) < 0)).toEqual([]);
    const charged = new Map(
      entries.filter(({ kind }) => kind === 'lead_charge').map((one) => [one.assignment_id, one.amount_cents]),
    );
    const refunds = entries.filter(({ kind }) => kind === 'lead_refund');
    expect(refunds.length).toBeGreaterThan(50);
    expect(refunds.filter((one) => charged.get(one.assignment_id) !== -(one.amount_cents ?? 0))).toEqual([]);
    expect(new Set(refunds.map((one) => one.assignment_id)).size).toBe(refunds.length);
  });
});
