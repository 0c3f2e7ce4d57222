/**
 * Mails wait while the mail server is away, and are sent once each when it is back.
 *
 * For a minute the server first turns every connection away (421), then closes its port. Leads are submitted and sold all the
 * while. Afterwards each promised mail has been taken exactly once, the refused attempts stand in the record of its run, and no
 * sale had to wait. `--quick` makes the outage 8 s, with the same waits between the attempts: 10 s, 30 s, 90 s.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { atLeast, below, type Figure, type RunOptions } from '../bench/report.ts';
import { type Database, sql } from '../packages/ops/src/postgres/index.ts';
import { pollUntil } from '../packages/ops/src/testing/poll.ts';
import { checkFromOutside, faultKinds, type Findings } from './harness/checker.ts';
import { exactly } from './harness/figures.ts';
import { readJournal } from './harness/journal.ts';
import type { Load } from './harness/load.ts';
import { randomOf } from './harness/random.ts';
import { openScene, populate, type Scene } from './harness/scene.ts';
import { settles } from './harness/settled.ts';
import { openStage } from './harness/stage.ts';
import { fundedSlug } from './harness/world.ts';

export const about = 'mails wait while the mail server is away for a minute, and are sent once each';

const leads = 20;
/** Nobody races here. */
const kinds = faultKinds.filter((kind) => kind !== 'race_not_won_once');
/** The waits are 10 s, 30 s and 90 s, each up to 20 % longer: a mail of the first moment comes after the fourth attempt at the latest. */
const settlesWithinMs = 150_000;

export async function run({ quick, firstSeed, say }: RunOptions): Promise<Figure[]> {
  const stage = await openStage();
  const scene = await openScene('mail_outage', stage);
  try {
    for (const role of ['api', 'worker', 'worker', 'relay', 'scheduler'] as const) scene.fleet.start(role);
    const load = await populate(scene, { random: randomOf(firstSeed), scarcePlaces: 0 });
    const outage = await sitOut(scene, load, { outageMs: quick ? 8_000 : 60_000, say });
    const uncleanStops = await scene.fleet.stop();
    return figuresOf(outage, await checkFromOutside(scene.evidence), uncleanStops);
  } finally {
    await scene.close();
    await stage.close({ keepDirectory: false });
  }
}

interface Outage {
  /** Mails that were promised while the server was away. */
  readonly promised: number;
  readonly takenMeanwhile: number;
  readonly soldMeanwhile: number;
  /** Of the promised: those whose run tells of a refused attempt. */
  readonly toldOf: number;
  readonly refusedAttempts: number;
  readonly settled: boolean;
  readonly healMs: number;
}

type Say = RunOptions['say'];

async function sitOut(scene: Scene, load: Load, { outageMs, say }: { outageMs: number; say: Say }): Promise<Outage> {
  const { db, mails, evidence } = scene;
  const taken = () => readJournal(evidence.receiptsPath).length;
  await load.submit(Array<string>(leads).fill(fundedSlug));
  await pollUntil(() => taken() === leads, { deadlineMs: 30_000 });
  await settles(db, 30_000);
  mails.refuse(true);
  const startedAt = performance.now();
  await load.approveRest();
  await load.submit(Array<string>(leads).fill(fundedSlug));
  await wait(outageMs / 2 - (performance.now() - startedAt));
  await mails.down();
  await wait(outageMs - (performance.now() - startedAt));
  const soldMeanwhile = await numberOf(db, sql`select count(*)::int as n from lead where status = 'distributed'`);
  const takenMeanwhile = taken() - leads;
  const promised = (await numberOf(db, sql`select count(*)::int as n from email`)) - leads;
  say(`${promised} mails were promised and ${takenMeanwhile} taken in ${outageMs / 1_000} s`);
  await mails.up();
  const healedAt = performance.now();
  await load.approveRest();
  const settled = await settles(db, settlesWithinMs);
  const healMs = Math.round(performance.now() - healedAt);
  say(`all sent ${(healMs / 1_000).toFixed(0)} s after the server was back`);
  return { promised, takenMeanwhile, soldMeanwhile, settled, healMs, ...(await refusalsOf(db)) };
}

async function refusalsOf(db: Database): Promise<Pick<Outage, 'toldOf' | 'refusedAttempts'>> {
  const toldOf = await numberOf(
    db,
    sql`
    select count(*)::int as n from ops.job_run
    where queue = 'email_send' and failures > 0 and started = failures + 1
      and jsonb_array_length(attempts_history) = failures and last_error ->> 'message' ~ 'did not accept'`,
  );
  const refusedAttempts = await numberOf(
    db,
    sql`
    select coalesce(sum(attempts - 1), 0)::int as n from email where status = 'sent'`,
  );
  return { toldOf, refusedAttempts };
}

async function numberOf(db: Database, statement: ReturnType<typeof sql>): Promise<number> {
  return (await db.query<{ n: number }>(statement)).rows[0]?.n ?? 0;
}

function figuresOf(outage: Outage, { faults, counts }: Findings, uncleanStops: number): Figure[] {
  const none = (what: string, value: number) => exactly(0, { what, value, unit: 'times' });
  const { promised, takenMeanwhile, soldMeanwhile, toldOf, refusedAttempts, healMs, settled } = outage;
  return [
    atLeast(3 * leads, { what: 'mails promised during the outage', value: promised, unit: 'mails' }),
    none('mails taken during the outage', takenMeanwhile),
    atLeast(leads, { what: 'leads sold during the outage', value: soldMeanwhile, unit: 'leads' }),
    atLeast(promised, { what: 'mails whose run tells of its refused attempts', value: toldOf, unit: 'mails' }),
    atLeast(promised, { what: 'refused attempts', value: refusedAttempts, unit: 'attempts' }),
    none('mails taken twice', counts.copies),
    ...kinds.map((kind) => none(kind.replaceAll('_', ' '), faults[kind].length)),
    none('not settled in time', settled ? 0 : 1),
    none('processes that did not stop cleanly', uncleanStops),
    below(settlesWithinMs, { what: 'from the end of the outage until all is sent', value: healMs, unit: 'ms' }),
  ];
}
