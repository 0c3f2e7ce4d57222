/** Compares what was done to the system with what Postgres and Redis hold. Runs as a process of its own, and believes nobody. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Database, openDatabase, sql } from '../../packages/ops/src/postgres/index.ts';
import { connectRedis } from '../../packages/ops/src/redis/index.ts';
import { readJournal } from '../harness/journal.ts';
import type { Evidence } from './ground.ts';
import type { Intention } from './intentions.ts';
import { brokenAtRest, brokenNow } from './invariants.ts';
import { causeOf, type Fate } from './jobs.ts';

/** Every kind of fault the checker looks for. */
export const faultKinds = [
  'uncaptured_death',
  'captured_twice',
  'stray_letter',
  'wrong_cause',
  'lost_evidence',
  'lost_work',
  'effect_twice',
  'effect_of_the_dead',
  'retry_not_resolved',
  'race_not_won_once',
  'unfinished_run',
  'unfinished_redrive',
  'broken_invariant',
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Findings {
  /** What is wrong, by kind: markers, letters and keys of what is concerned. */
  readonly faults: Record<FaultKind, string[]>;
  readonly counts: {
    readonly planned: number;
    readonly deaths: number;
    readonly letters: number;
    readonly effects: number;
    readonly retried: number;
    readonly redriven: number;
  };
}

interface Letter {
  readonly id: string;
  readonly rootKey: string;
  readonly state: string;
  readonly cause: string;
  readonly firstCause: string;
  readonly content: string;
}

interface Facts {
  readonly db: Database;
  readonly intentions: readonly Intention[];
  /** By what their content or their key says they are about. */
  readonly letters: ReadonlyMap<string, readonly Letter[]>;
  /** How often each marker had its effect. */
  readonly effects: ReadonlyMap<string, number>;
  readonly atRest: readonly string[];
}

type Planned = Extract<Intention, { kind: 'planned' }>;

export async function check(evidence: Evidence): Promise<Findings> {
  const db = openDatabase({ url: evidence.databaseUrl, poolSize: 2, statementTimeoutMs: 120_000 });
  const redis = connectRedis({ url: evidence.redisUrl });
  try {
    const facts: Facts = {
      db,
      intentions: readJournal<Intention>(evidence.intentionsPath),
      letters: Map.groupBy(await readLetters(db), markerOf),
      effects: await readEffects(db),
      atRest: await brokenAtRest(db, redis),
    };
    const faults = Object.fromEntries(faultKinds.map((kind) => [kind, [] as string[]])) as Findings['faults'];
    for (const kind of faultKinds) faults[kind] = await checks[kind](facts);
    return { faults, counts: countAll(facts) };
  } finally {
    redis.disconnect();
    await db.close();
  }
}

/** What was captured first stands in version 0 of the payload, and in the run that died first. */
async function readLetters(db: Database): Promise<Letter[]> {
  const { rows } = await db.query<Letter>(sql`
    select l.id, l.root_key as "rootKey", l.state, l.cause, coalesce(r.cause, l.cause) as "firstCause",
           coalesce(p.body, encode(p.bytes, 'escape'), '') as content
    from ops.dead_letter_queue l
    left join ops.dead_letter_payload p on p.letter_id = l.id and p.version = 0
    left join ops.job_run r on r.root_key = l.root_key and r.generation = 0
    where not l.synthetic`);
  return rows;
}

async function readEffects(db: Database): Promise<Map<string, number>> {
  const { rows } = await db.query<{ marker: string; times: number }>(
    sql`select marker, count(*)::int as times from effect group by marker`,
  );
  return new Map(rows.map(({ marker, times }) => [marker, times]));
}

const markerForm = /\bm-[\w-]*\w/;

function markerOf({ content, rootKey }: Letter): string {
  return (markerForm.exec(content) ?? markerForm.exec(rootKey))?.[0] ?? rootKey;
}

const planned = ({ intentions }: Facts): Planned[] =>
  intentions.flatMap((one) => (one.kind === 'planned' ? [one] : []));
const markersOf = ({ intentions }: Facts, kind: 'retried' | 'discarded'): Set<string> =>
  new Set(intentions.flatMap((one) => (one.kind === kind ? [one.marker] : [])));

const isDeadly = ({ fate }: Planned): boolean => causeOf[fate] !== null;

const checks: Record<FaultKind, (facts: Facts) => Promise<string[]> | string[]> = {
  uncaptured_death: (facts) =>
    planned(facts).flatMap((one) => (isDeadly(one) && !facts.letters.has(one.marker) ? [one.marker] : [])),
  captured_twice: ({ letters }) => [...letters].flatMap(([marker, { length }]) => (length > 1 ? [marker] : [])),
  stray_letter: strayLetters,
  wrong_cause: (facts) =>
    planned(facts).flatMap(({ marker, fate }) =>
      (facts.letters.get(marker) ?? []).flatMap(({ firstCause }) =>
        firstCause === causeOf[fate] ? [] : [`${marker} died as ${firstCause}`],
      ),
    ),
  lost_evidence: (facts) =>
    planned(facts).flatMap(({ marker }) =>
      (facts.letters.get(marker) ?? []).flatMap(({ content }) => (content.includes(marker) ? [] : [marker])),
    ),
  lost_work: lostWork,
  effect_twice: ({ effects }) =>
    [...effects].flatMap(([marker, times]) => (times > 1 ? [`${marker} ${times} times`] : [])),
  effect_of_the_dead: ({ effects, letters }) =>
    [...effects.keys()].filter((marker) => letters.get(marker)?.some(({ state }) => state !== 'resolved')),
  retry_not_resolved: retriesNotResolved,
  race_not_won_once: ({ intentions }) =>
    intentions.flatMap((one) => (one.kind === 'raced' && one.winners !== 1 ? [`${one.marker} ${one.winners}`] : [])),
  unfinished_run: unfinishedRuns,
  unfinished_redrive: unfinishedRedrives,
  broken_invariant: async ({ db, atRest }) => [...(await brokenNow(db)), ...atRest],
};

/** A letter of nothing that was to die. */
function strayLetters(facts: Facts): string[] {
  const deadly = new Set(
    planned(facts)
      .filter(isDeadly)
      .map(({ marker }) => marker),
  );
  return [...facts.letters.keys()].filter((marker) => !deadly.has(marker));
}

const unending: Fate = 'wait';

/** Everything has its effect, or a letter in which it can be found; or its time has not come. */
async function lostWork(facts: Facts): Promise<string[]> {
  const { rows } = await facts.db.query<{ key: string }>(
    sql`select run_key as key from ops.job_run where state = 'enqueued'`,
  );
  const open = new Set(rows.map(({ key }) => key));
  return planned(facts).flatMap(({ marker, fate }) => {
    const isThere = fate === unending ? open.has(marker) : facts.effects.has(marker) || facts.letters.has(marker);
    return isThere ? [] : [marker];
  });
}

/** Each retry that was acknowledged ended with one effect and a closed letter. */
function retriesNotResolved(facts: Facts): string[] {
  return [...markersOf(facts, 'retried')].filter((marker) => {
    const [letter] = facts.letters.get(marker) ?? [];
    return letter?.state !== 'resolved' || facts.effects.get(marker) !== 1;
  });
}

async function unfinishedRuns({ db }: Facts): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(sql`
    select run_key as id from ops.job_run where state = 'enqueued' and run_at <= clock_timestamp() + interval '1 minute'
    union all select id::text from ops.dead_letter_queue where state = 'retrying'`);
  return rows.map(({ id }) => id);
}

/** Each redrive is done, and every item succeeded once. */
async function unfinishedRedrives({ db, intentions }: Facts): Promise<string[]> {
  const wrong: string[] = [];
  for (const one of intentions) {
    if (one.kind !== 'redriven') continue;
    const { rows } = await db.query<{ state: string; succeeded: number }>(sql`
      select state, (select count(distinct letter_id)::int from ops.redrive_item where redrive_id = r.id and outcome = 'succeeded') as succeeded
      from ops.redrive r where id = ${one.redriveId}`);
    const [redrive] = rows;
    if (redrive?.state === 'done' && redrive.succeeded === one.items) continue;
    wrong.push(`${one.redriveId} is ${redrive?.state} with ${redrive?.succeeded} of ${one.items}`);
  }
  return wrong;
}

function countAll(facts: Facts): Findings['counts'] {
  const all = planned(facts);
  return {
    planned: all.length,
    deaths: all.filter(isDeadly).length,
    letters: [...facts.letters.values()].reduce((sum, { length }) => sum + length, 0),
    effects: [...facts.effects.values()].reduce((sum, times) => sum + times, 0),
    retried: markersOf(facts, 'retried').size,
    redriven: facts.intentions.reduce((sum, one) => sum + (one.kind === 'redriven' ? one.items : 0), 0),
  };
}

/** The same in a process of its own. */
export async function checkFromOutside({ databaseUrl, redisUrl, intentionsPath }: Evidence): Promise<Findings> {
  const self = fileURLToPath(import.meta.url);
  const { stdout } = await promisify(execFile)(process.execPath, [self, databaseUrl, redisUrl, intentionsPath], {
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(stdout) as Findings;
}

if (import.meta.main) {
  const [databaseUrl = '', redisUrl = '', intentionsPath = ''] = process.argv.slice(2);
  console.log(JSON.stringify(await check({ databaseUrl, redisUrl, intentionsPath })));
}
