/**
 * Every metric of the catalogue moves when its cause happens, by the number that is right.
 *
 * The real product runs in its four roles on real servers. Each flow causes one thing, scrapes every process over HTTP before and
 * after, and compares. A metric, or a value of a closed label, that no flow moves must stand in metrics/not-yet.ts with its reason.
 */
import { below, type Figure, type RunOptions } from '../bench/report.ts';
import { type Database, type Sql, sql } from '../packages/ops/src/postgres/index.ts';
import { exactly, none } from './harness/figures.ts';
import { openScene } from './harness/scene.ts';
import { openStage } from './harness/stage.ts';
import { gaps } from './metrics/coverage.ts';
import type { MetricKey } from './metrics/exposition.ts';
import {
  astrayCharge,
  errors,
  firstSale,
  furtherSales,
  lockedSale,
  refusedMail,
  requests,
  stations,
  undoneSales,
} from './metrics/flows.ts';
import { auditTrail } from './metrics/audit-trail.ts';
import { badLeads } from './metrics/bad-leads.ts';
import { driftedBalances, forgottenSleeper, lateGateway } from './metrics/money.ts';
import { crowd, killedWorker, leaver, redisLosses, redisStill } from './metrics/outages.ts';
import { missedSunday } from './metrics/schedules.ts';
import { unsoundBalance } from './metrics/soundness.ts';
import { openSystem, type System } from './metrics/system.ts';

export const about = 'each metric of the catalogue moves when its cause happens, by the right number';

export async function run({ say }: RunOptions): Promise<Figure[]> {
  const stage = await openStage();
  const scene = await openScene('metrics', stage);
  try {
    const system = await openSystem(scene, stage);
    try {
      await runFlows(system, say);
      const totals = await wholeRun(system);
      const { unproven, stale } = gaps(system.watch);
      return [
        ...system.watch.figures,
        ...totals,
        ...cardinality(system),
        none('metrics and label values that nothing moved', unproven, say),
        none('entries of not-yet.ts that move, or do not exist', stale, say),
      ];
    } finally {
      await system.close();
    }
  } finally {
    await scene.close();
    await stage.close({ keepDirectory: false });
  }
}

async function runFlows(system: System, say: RunOptions['say']): Promise<void> {
  const timed = async <T>(name: string, flow: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    const result = await flow();
    say(`${name}: ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
    return result;
  };
  const lead = await timed('stations of a job', () => stations(system));
  await timed('the first sale', () => firstSale(system, lead));
  const flows = [
    auditTrail,
    furtherSales,
    refusedMail,
    requests,
    badLeads,
    errors,
    astrayCharge,
    lateGateway,
    driftedBalances,
    forgottenSleeper,
    unsoundBalance,
    missedSunday,
    undoneSales,
    lockedSale,
    crowd,
    leaver,
    killedWorker,
    redisLosses,
    redisStill,
  ];
  for (const flow of flows) await timed(flow.name, () => flow(system));
}

/** Whatever happened in between: each fact of the database was counted once, by one process. */
async function wholeRun({ watch, scene: { db } }: System): Promise<Figure[]> {
  const facts: [MetricKey, Sql][] = [
    // One lead was not submitted, but was there from the start.
    ['leads_submitted_total', sql`select count(*)::int - 1 as n from lead`],
    ['leads_approved_total', sql`select count(*)::int - 1 as n from lead where approved_at is not null`],
    ['assignments_created_total', sql`select count(*)::int as n from assignment`],
    ['bad_leads_reported_total', sql`select count(reported_at)::int as n from bad_lead_report`],
    ['refunds_approved_total', sql`select count(*)::int as n from ledger_entry where kind = 'lead_refund'`],
    ['lead_assignment_verdicts_total', sql`select count(*)::int as n from lead where sale_verdict is not null`],
    ['jobs_dead_lettered_total', sql`select count(*)::int as n from ops.job_run where died_at is not null`],
  ];
  return Promise.all(
    facts.map(async ([metric, statement]) => {
      const value = (await watch.value({ metric })) ?? 0;
      return exactly(await numberOf(db, statement), { what: `${metric} against the rows`, value, unit: 'in all' });
    }),
  );
}

async function numberOf(db: Database, statement: Sql): Promise<number> {
  return (await db.query<{ n: number }>(statement)).rows[0]?.n ?? 0;
}

/** One process with all roles would expose the series of all, each once. */
function cardinality({ watch }: System): Figure[] {
  const { expositions } = watch;
  const series = new Set(expositions.flatMap((one) => one.series));
  const sets = expositions.flatMap(({ samples }) =>
    [...Map.groupBy(samples, ({ metric }) => metric).values()].map((group) => group.length),
  );
  return [
    below(5_001, { what: 'series of a process with all roles', value: series.size, unit: 'series' }),
    below(201, { what: 'label sets of the metric with most', value: Math.max(...sets), unit: 'sets' }),
  ];
}
