import { enqueueMany, sql } from '../../packages/ops/src/index.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import { type Random, randomOf } from '../harness/random.ts';
import { calm } from './attack.ts';
import { checkFromOutside, type Findings } from './checker.ts';
import { deathsOf, killUnarmed, missedOf, openPost, type Post } from './crew.ts';
import { type Evidence, type Field, type Ground, openField } from './ground.ts';
import type { Temper } from './handler.ts';
import { bulk, payloadOf } from './jobs.ts';
import { rests } from './rest.ts';

/** What one redrive under fire showed. */
export interface RedriveResult {
  readonly items: number;
  readonly findings: Findings;
  readonly state: string;
  /** As the API tells it at the end. */
  readonly progress: Readonly<Record<string, number>>;
  readonly killed: Readonly<Record<'api' | 'worker' | 'relay' | 'scheduler', number>>;
  readonly missed: readonly string[];
  /** From the start to the end, in s. */
  readonly tookS: number;
  readonly evidence: Evidence;
}

interface Redrive {
  readonly id: string;
  readonly state: string;
  readonly plan_hash: string;
  readonly included: number;
  readonly progress: Record<string, number>;
}

/** Everybody that a redrive needs. */
interface Crew {
  readonly api: Post;
  readonly relay: Post;
  readonly scheduler: Post;
  readonly workers: Post[];
}

const endsWithinMs = 600_000;
const insertedAtOnce = 1_000;

/** So many letters are redriven while everybody is killed at random; the engine, the relay and a worker also at their failpoints. */
export async function redriveUnderFire(seed: number, items: number, ground: Ground): Promise<RedriveResult> {
  const field = await openField(`redrive_${seed}`, ground);
  const random = randomOf(seed);
  try {
    const crew = await openCrew(field, engineDeaths(random));
    await fill(field, items);
    await swapWorkers(crew, field, 'mended', [`worker.inside_commit[${bulk.name}]:kill@${random.between(1, 100)}`]);
    const startedAt = performance.now();
    const id = await start(field, items, crew);
    const during = strikeAll(field, crew, random, id);
    const { state, progress } = await ended(field, id);
    await during;
    await rests(field.db, field.redis);
    const tookS = (performance.now() - startedAt) / 1_000;
    await field.fleet.stop();
    return {
      items,
      state,
      progress,
      tookS,
      killed: killedOf(field),
      missed: missedOf(field.fleet),
      evidence: field.evidence,
      findings: await checkFromOutside(field.evidence),
    };
  } finally {
    await field.close();
  }
}

/** The points between what the engine commits and what follows from it. */
function engineDeaths(random: Random): string[] {
  const points = random.shuffled(['before_claim', 'after_claim', 'after_commit']);
  return points.map((point) => `redrive.${point}:kill@${random.between(1, 3)}`);
}

async function openCrew({ fleet }: Field, failpoints: string[]): Promise<Crew> {
  const crew: Crew = {
    api: openPost(fleet, 'api'),
    relay: openPost(fleet, 'relay'),
    scheduler: openPost(fleet, 'scheduler', { failpoints }),
    workers: [openPost(fleet, 'worker', { terms: termsOf('dying') })],
  };
  await Promise.all([crew.api, ...crew.workers].map(({ present }) => present.ready));
  return crew;
}

const termsOf = (temper: Temper) => ({ queues: [bulk.name], temper, concurrency: 16 });

/** Everything from here on goes to handlers of another temper. */
async function swapWorkers({ workers }: Crew, { fleet }: Field, temper: Temper, failpoints: string[]): Promise<void> {
  for (const post of workers.splice(0)) await post.close();
  workers.push(openPost(fleet, 'worker', { terms: termsOf(temper), failpoints }));
  workers.push(openPost(fleet, 'worker', { terms: termsOf(temper) }));
}

/** Jobs that die for good, all of the same error. Resolves when each has its letter. */
async function fill({ db, intentions }: Field, items: number): Promise<void> {
  for (let from = 0; from < items; from += insertedAtOnce) {
    const markers = Array.from({ length: Math.min(insertedAtOnce, items - from) }, (_one, n) => `m-bulk-${from + n}`);
    const drafts = markers.map((marker) => ({ key: marker, payload: payloadOf(marker, 'permanent') }));
    await db.transaction((tx) => enqueueMany(tx, bulk, 'task', drafts));
    for (const marker of markers) intentions.append({ kind: 'planned', marker, queue: bulk.name, fate: 'permanent' });
  }
  const open = sql`select from ops.job_outbox limit 1`;
  await pollUntil(async () => (await db.query(open)).rowCount === 0, { deadlineMs: endsWithinMs, everyMs: 50 });
}

const request = { name: 'all that died', filter: `queue:${bulk.name} state:open` };

/** Slow enough to be struck often, in items a second. */
const rateOf = (items: number) => Math.min(500, Math.ceil(items / 5));

/** Plans and starts; the API dies while it is asked to start, and again while it answers. */
async function start({ client, intentions }: Field, items: number, { api }: Crew): Promise<string> {
  const planned = await client.post<Redrive>(
    '/redrives',
    { ...request, options: { rate: rateOf(items) } },
    'plan-0001',
  );
  const { id, plan_hash, included } = planned.body;
  if (included !== items) throw new Error(`planned ${JSON.stringify(planned)}`);
  const body = { plan_hash, confirm_count: items, reason: 'the handlers are mended' };
  const [started] = await Promise.all([client.post<Redrive>(`/redrives/${id}/start`, body, 'start-0001'), api.kill()]);
  if (started.status !== 200) throw new Error(`not started: ${JSON.stringify(started)}`);
  intentions.append({ kind: 'redriven', redriveId: id, items });
  return id;
}

async function ended({ client }: Field, id: string): Promise<Redrive> {
  return pollUntil(
    async () => {
      const redrive = await client.get<Redrive>(`/redrives/${id}`);
      return ['done', 'stopped', 'aborted'].includes(redrive.state) && redrive;
    },
    { deadlineMs: endsWithinMs, everyMs: 200 },
  );
}

/** Kills a process of each role at least once, each time when so many more items are decided. */
async function strikeAll({ db, client }: Field, { api, relay, scheduler, workers }: Crew, random: Random, id: string) {
  const victims = random.shuffled([api, relay, scheduler, scheduler, ...workers, random.pick(workers)]);
  for (const [at, victim] of victims.entries()) {
    const share = (at + random.between(1, 9) / 10) / (victims.length + 1);
    await passes(db, id, share);
    if (victim.role === 'worker') await calm(db);
    if (victim === api) await pauseAndResume(client, id, victim);
    else await killUnarmed(victim);
  }
}

/** Waits until that share of the items is decided. */
async function passes(db: Field['db'], id: string, share: number): Promise<void> {
  const facts = sql`
    select count(*) filter (where outcome in ('succeeded', 'failed'))::int as decided, count(*)::int as total
    from ops.redrive_item where redrive_id = ${id}`;
  await pollUntil(
    async () => {
      const { rows } = await db.query<{ decided: number; total: number }>(facts);
      return rows.find((row) => row.decided >= row.total * share);
    },
    { deadlineMs: endsWithinMs, everyMs: 20 },
  );
}

/** A pause and a resumption, and the API dies of neither. One that has ended meanwhile refuses both. */
async function pauseAndResume(client: Field['client'], id: string, api: Post): Promise<void> {
  const reason = { reason: 'a look at it' };
  await Promise.all([client.post(`/redrives/${id}/pause`, reason, 'pause-0001'), api.kill()]);
  await Promise.all([client.post(`/redrives/${id}/resume`, reason, 'resume-0001'), api.kill()]);
}

function killedOf({ fleet }: Field): RedriveResult['killed'] {
  return {
    api: deathsOf(fleet, 'api'),
    worker: deathsOf(fleet, 'worker'),
    relay: deathsOf(fleet, 'relay'),
    scheduler: deathsOf(fleet, 'scheduler'),
  };
}

/** What became of a redrive whose canary met an error that no plan knew. */
export interface HaltResult {
  readonly state: string;
  readonly canarySize: number;
  /** Retries that were ever made. */
  readonly itemsRun: number;
  /** Letters that are as they were before. */
  readonly untouched: number;
  readonly letters: number;
}

const haltedLetters = 60;
const canarySize = 5;

/** The handlers die of something else than before: the canary halts the redrive. */
export async function canaryHalts(ground: Ground): Promise<HaltResult> {
  const field = await openField('canary', ground);
  try {
    const crew = await openCrew(field, []);
    await fill(field, haltedLetters);
    await swapWorkers(crew, field, 'worse', []);
    const options = { rate: 'auto', canary: { size: canarySize } };
    const { body: planned } = await field.client.post<Redrive>('/redrives', { ...request, options }, 'plan-0001');
    const body = { plan_hash: planned.plan_hash, confirm_count: planned.included, reason: 'we believe it is mended' };
    await field.client.post(`/redrives/${planned.id}/start`, body, 'start-0001');
    const { state } = await ended(field, planned.id);
    await enginePasses(field);
    const { rows } = await field.db.query<{ run: number; untouched: number }>(sql`
      select (select count(*)::int from ops.job_run where dlq_id is not null) as run,
             (select count(*)::int from ops.dead_letter_queue where version = 1 and state = 'pending') as untouched`);
    const [{ run, untouched } = { run: -1, untouched: -1 }] = rows;
    return { state, canarySize, itemsRun: run, untouched, letters: haltedLetters };
  } finally {
    await field.close();
  }
}

/** Waits until the engine has looked at its redrives some times more. */
async function enginePasses({ db }: Field): Promise<void> {
  const expiry = async () => {
    const { rows } = await db.query<{ at: Date }>(sql`select expires_at as at from ops.lease where name = 'redrives'`);
    return rows[0]?.at.getTime() ?? 0;
  };
  const before = await expiry();
  await pollUntil(async () => (await expiry()) > before + 1_500, { deadlineMs: 60_000 });
}
