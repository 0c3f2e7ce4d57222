import { afterAll, beforeAll, expect, it } from 'vitest';
import fc from 'fast-check';
import { listGroups } from '../dead-letter-groups/index.ts';
import { openCursors } from '../dead-letter-search/index.ts';
import { foldChanges, readStock } from '../dead-letters/index.ts';
import { sql } from '../postgres/index.ts';
import { readReport } from './index.ts';
import { ana, insertLetters, openReports, type Plane } from './report.fixture.ts';

let plane: Plane;
beforeAll(async () => {
  ({ plane } = await openReports());
});
afterAll(() => plane.close());

const fingerprints = ['v1_000000000000000a', 'v1_000000000000000b', 'v1_000000000000000c'];

type Step =
  | { do: 'capture'; count: number; fingerprint: string; queue: string; cause: string; version: string; state: string }
  | { do: 'claim' | 'succeed' | 'discard' | 'restore' | 'snooze'; count: number }
  | { do: 'die'; count: number; fingerprint: string }
  | { do: 'fold' };

const some = { count: fc.integer({ min: 1, max: 4 }) };
const fingerprint = fc.constantFrom(...fingerprints);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('capture' as const),
    ...some,
    fingerprint,
    queue: fc.constantFrom('work', 'mail'),
    cause: fc.constantFrom('exhausted', 'stalled'),
    version: fc.constantFrom('1.0.0', '2.0.0'),
    state: fc.constantFrom('pending', 'pending', 'discarded'),
  }),
  fc.record({ do: fc.constantFrom('claim', 'succeed', 'discard', 'restore', 'snooze'), ...some }),
  fc.record({ do: fc.constant('die' as const), ...some, fingerprint }),
  fc.record({ do: fc.constant('fold' as const) }),
);

interface Flows {
  deaths: number;
  retried_ok: number;
}

/** Does to letters what captures, retries and operators do, and keeps the books of what no letter tells. */
async function act(step: Step, flows: Flows): Promise<void> {
  if (step.do === 'fold') return void (await foldChanges(plane.db));
  if (step.do === 'capture') {
    flows.deaths += step.count;
    await insertLetters(
      plane.db,
      Array.from({ length: step.count }, () => step),
    );
    return;
  }
  const changed = await change(step);
  if (step.do === 'die') flows.deaths += changed;
  if (step.do === 'succeed') flows.retried_ok += changed;
}

async function change(step: Exclude<Step, { do: 'fold' | 'capture' }>): Promise<number> {
  const closed = sql`resolved_at = clock_timestamp(), version = version + 1`;
  const [from, set] = {
    claim: [['pending', 'snoozed'], sql`state = 'retrying', generation = generation + 1, version = version + 1`],
    succeed: [['retrying'], sql`state = 'resolved', resolution = '{"how":"retried"}', ${closed}`],
    discard: [['pending', 'snoozed'], sql`state = 'discarded', resolution = '{"how":"discarded"}', ${closed}`],
    restore: [['resolved', 'discarded'], sql`state = 'pending', resolved_at = null, version = version + 1`],
    snooze: [['pending'], sql`state = 'snoozed', version = version + 1`],
    die: [
      ['retrying'],
      sql`state = 'pending', failed_at = clock_timestamp(), version = version + 1, worker_version = '3.0.0',
          fingerprint = ${step.do === 'die' ? step.fingerprint : ''}`,
    ],
  }[step.do] as [string[], ReturnType<typeof sql>];
  const { rowCount } = await plane.db.query(sql`
    update ops.dead_letter_queue set ${set}
    where id in (select id from ops.dead_letter_queue where state = any (${from}::text[]) order by id limit ${step.count})`);
  return rowCount;
}

/** Every figure, counted from the letters alone. */
async function truth() {
  const count = async (condition: ReturnType<typeof sql>) => {
    const { rows } = await plane.db.query<{ fingerprint: string; count: number }>(sql`
      select fingerprint, count(*)::int as count from ops.dead_letter_queue where ${condition} group by 1 order by 1`);
    return Object.fromEntries(rows.map((row) => [row.fingerprint, row.count]));
  };
  const stock = await plane.db.query(sql`
    select 'queue' as source, queue_name as queue, count(*)::int as captured, (count(*) filter (where not resolved))::int as open,
           (count(*) filter (where state = 'resolved'))::int as resolved, (count(*) filter (where state = 'discarded'))::int as discarded
    from ops.dead_letter_queue group by queue_name order by queue_name`);
  return {
    all: await count(sql`true`),
    open: await count(sql`not resolved`),
    closedMail: await count(sql`resolved and queue_name = 'mail'`),
    stock: stock.rows as Record<string, number>[],
  };
}

const groupCounts = async (q: string) => {
  const deps = { db: plane.db, registry: plane.registry, cursors: openCursors(plane.db) };
  const { groups } = await listGroups(deps, { q, actor: ana, limit: 200 });
  return Object.fromEntries(groups.map((group) => [group.fingerprint, group.count]));
};

it('every sum equals the count of the letters, whatever happens to them and whenever it is folded', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
      await plane.db.query(sql`
        truncate ops.dead_letter_queue, ops.dead_letter_group, ops.dead_letter_change, ops.dead_letter_hour, ops.dead_letter_stock`);
      await insertLetters(
        plane.db,
        fingerprints.map((each) => ({ fingerprint: each })),
      );
      const flows = { deaths: fingerprints.length, retried_ok: 0 };
      for (const each of steps) await act(each, flows);
      await compare(flows);
      await foldChanges(plane.db);
      await compare(flows);
    }),
    { numRuns: 40 },
  );
});

async function compare(flows: Flows): Promise<void> {
  const { all, open, closedMail, stock } = await truth();
  const sum = (key: string) => stock.reduce((total, row) => total + (row[key] ?? 0), 0);
  expect(await groupCounts('')).toEqual(all);
  expect(await groupCounts('state:open')).toEqual(open);
  expect(await groupCounts('state:closed queue:mail')).toEqual(closedMail);
  // The same question, answered from the letters.
  expect(await groupCounts('state:open attempts:>0')).toEqual(open);
  expect(await groupCounts('state:open age:<1h')).toEqual(open);
  expect((await readStock(plane.db)).toSorted((a, b) => (a.queue < b.queue ? -1 : 1))).toEqual(stock);
  const report = await readReport(plane, { hours: 2, actor: ana });
  const { captured, deaths, resolved, discarded, retried_ok, open_now } = report.totals;
  expect({ captured, deaths, resolved, discarded, retried_ok, open_now }).toMatchObject({
    captured: { value: sum('captured') },
    deaths: { value: flows.deaths },
    resolved: { value: sum('resolved') },
    discarded: { value: sum('discarded') },
    retried_ok: { value: flows.retried_ok },
    open_now: { value: sum('open'), previous: 0 },
  });
  expect(report.by_error.reduce((total, row) => total + row.count, 0)).toBe(flows.deaths);
  expect(report.by_hour.reduce((total, row) => total + row.deaths, 0)).toBe(flows.deaths);
}
