import { runWithContext } from '../logging/index.ts';
import type { Metrics } from '../metrics/index.ts';
import type { Database, Tx } from '../postgres/index.ts';
import { type CanaryVerdict, judgeCanary } from './canary.ts';
import { chooseCanary, readCanaryItems, readVersions, tellGroups, usualTime } from './engine-canary.ts';
import { isAnyOut, nextItems, noteFingerprints, readRunFacts, type RunFacts, settleStrays } from './item-queries.ts';
import { admit, type CanaryRecord, changeRedrive, lockAdmissions, lockRedrive, type Redrive } from './queries.ts';
import { type Pace, pace, type PaceDeps } from './pace.ts';
import { judgeRun, type Stop } from './stop-rule.ts';
import { ClaimFailed, type ClaimedItems, claimItems, markItems, takeItems, type TakeDeps } from './take.ts';

export interface AdvanceDeps extends TakeDeps, PaceDeps {
  readonly db: Database;
  readonly metrics: Metrics;
  /** Least time that a canary has, in ms. */
  readonly canaryWithinMs: number;
}

/** One step of one redrive, in one transaction that holds its row: two engines, or an old one that wakes up, take turns. */
export async function advance(deps: AdvanceDeps, id: string): Promise<Step> {
  try {
    return await step(deps, id, false);
  } catch (error) {
    if (!(error instanceof ClaimFailed)) throw error;
    return step(deps, id, true);
  }
}

/** What a step did: whether the next may follow at once, and whether it took items. */
export interface Step {
  readonly more: boolean;
  readonly hasTaken?: true;
  /** Set when nothing limits the next step, which may begin before this one is committed: with the redrive as it is left. */
  readonly next?: Redrive | undefined;
}

const idle: Step = { more: false };
const again: Step = { more: true };

async function step(deps: AdvanceDeps, id: string, careful: boolean): Promise<Step> {
  const made = await deps.db.transaction(async (tx) => {
    // Whoever paused, stopped or aborted it has committed by now: what is read here is what holds.
    const redrive = await lockRedrive(tx, id);
    if (!redrive) return idle;
    return runWithContext({ correlationId: redrive.correlation_id }, () => stepOf(tx, redrive, deps, careful));
  });
  if (made.hasTaken) await deps.failpoint('redrive.after_commit');
  return made;
}

async function stepOf(tx: Tx, redrive: Redrive, deps: AdvanceDeps, careful: boolean): Promise<Step> {
  if (redrive.state === 'running') return run(tx, redrive, deps, { careful });
  if (redrive.state !== 'canary') return idle;
  return redrive.canary ? watchCanary(tx, redrive, redrive.canary, deps) : sendCanary(tx, redrive, deps, careful);
}

/** Lets a waiting redrive go. A transaction of its own: who admits looks at all others. */
export async function admitNext(db: Database, id: string): Promise<{ more: boolean }> {
  return db.transaction(async (tx) => {
    await lockAdmissions(tx);
    return { more: (await admit(tx, id)) !== undefined };
  });
}

async function sendCanary(tx: Tx, redrive: Redrive, deps: AdvanceDeps, careful: boolean): Promise<Step> {
  const picked = await chooseCanary(tx, redrive, redrive.options.canary?.size ?? 1);
  if (picked.length === 0) return finish(tx, redrive, deps);
  const { sent, skipped } = await takeItems(tx, picked, { redrive, isCanary: true, careful }, deps);
  count(tx, deps, sent, skipped);
  const withinMs = Math.max(deps.canaryWithinMs, 5 * (await usualTime(tx, picked)));
  const canary: CanaryRecord = {
    ords: picked.map(({ ord }) => ord),
    fingerprints: [...new Set(picked.map(({ fingerprint }) => fingerprint))],
    verdict: null,
    why: null,
    versions: [],
    deadline_at: new Date(redrive.now.getTime() + withinMs).toISOString(),
    stage: 0,
    stage_at: null,
  };
  const rate = { ...redrive.rate, taken: redrive.rate.taken + picked.length };
  // When all of them had changed, others are picked.
  await changeRedrive(tx, redrive.id, sent > 0 ? { rate, canary } : { rate });
  return { more: sent === 0, hasTaken: true };
}

async function watchCanary(tx: Tx, redrive: Redrive, canary: CanaryRecord, deps: AdvanceDeps): Promise<Step> {
  const { options, id } = redrive;
  await settleStrays(tx, id, canary.ords.length);
  const { newFingerprints } = await readRunFacts(tx, { redriveId: id, window: 1, since: redrive.judged_from });
  const items = await readCanaryItems(tx, id, canary.ords);
  const isOver = redrive.now.getTime() > Date.parse(canary.deadline_at);
  const judged = judgeCanary({ items, newFingerprints, isOver }, options.canary?.min_success ?? 1);
  if (!judged) return idle;
  await noteFingerprints(tx, id, newFingerprints);
  await endCanary(tx, redrive, canary, judged);
  deps.log.info('redrive_canary_judged', { redrive_id: id, verdict: judged.verdict });
  return again;
}

async function endCanary(tx: Tx, redrive: Redrive, canary: CanaryRecord, judged: CanaryVerdict): Promise<void> {
  const versions = await readVersions(tx, redrive.id, canary.ords);
  const record = { ...canary, ...judged, versions, stage_at: redrive.now.toISOString() };
  await tellGroups(tx, canary.fingerprints, { ...judged, versions, redrive_id: redrive.id });
  if (judged.verdict === 'passed') return changeRedrive(tx, redrive.id, { state: 'running', canary: record });
  await changeRedrive(tx, redrive.id, {
    state: 'stopped',
    resumes_as: 'running',
    canary: record,
    stopped_because: { rule: `canary_${judged.verdict}`, why: judged.why },
  });
}

/** A step that was begun early does not fit what holds now: nothing of it may stay. */
export class Overtaken extends Error {
  override name = 'Overtaken';
}

/** Sends what may go out now; or what was claimed `early` in this transaction, if that may. Throws {@link Overtaken} when it may not. */
export async function run(
  tx: Tx,
  redrive: Redrive,
  deps: AdvanceDeps,
  { careful = false, early }: { careful?: boolean; early?: ClaimedItems } = {},
): Promise<Step> {
  const { id, options } = redrive;
  // While fewer were ever taken than may be out, only whether any is out needs to be counted.
  const window = redrive.rate.taken + deps.batch <= deps.limits.window ? 1 : deps.limits.window;
  const facts = await readRunFacts(tx, { redriveId: id, window, since: redrive.judged_from });
  if (facts.newFingerprints.length > 0) await noteFingerprints(tx, id, facts.newFingerprints);
  const outcomes = facts.verdicts.map(({ outcome }) => outcome);
  const stop = judgeRun(outcomes, facts.newFingerprints, options.stop_when);
  const paced = stop ? undefined : await pace(tx, redrive, facts, deps);
  if (early && (paced?.count ?? 0) < early.items.length) throw new Overtaken();
  if (stop) return halt(tx, redrive, stop, deps);
  if (!paced) return idle;
  const items = early?.items ?? (paced.count > 0 ? await nextItems(tx, id, redrive.rate.last, paced.count) : []);
  if (items.length === 0) return rest(tx, redrive, facts, paced, deps);
  const claimed = early ?? (await claimItems(tx, items, { redrive, careful }, deps));
  const { sent, skipped } = await markItems(tx, claimed, { redrive, isCanary: false });
  count(tx, deps, sent, skipped);
  const rate = {
    ...redrive.rate,
    ...paced.rate,
    taken: redrive.rate.taken + items.length,
    last: items.at(-1)?.ord ?? 0,
  };
  await changeRedrive(tx, id, {
    ...(paced.canary && { canary: paced.canary }),
    rate,
    due: paced.dueAfter(items.length),
  });
  const out = window === 1 ? rate.taken : facts.backlog + sent;
  const isFree = rate.effective === null && items.length === deps.batch && out + 2 * deps.batch <= deps.limits.window;
  return { more: rate.effective === null, hasTaken: true, next: isFree ? { ...redrive, rate } : undefined };
}

async function halt(tx: Tx, redrive: Redrive, stop: Stop, deps: AdvanceDeps): Promise<Step> {
  await changeRedrive(tx, redrive.id, { state: 'stopped', resumes_as: 'running', stopped_because: stop });
  deps.log.warn('redrive_stopped', { redrive_id: redrive.id, rule: stop.rule });
  return idle;
}

/** Nothing to send now: keeps what was decided of the rate, or ends the redrive when nothing is left. */
async function rest(tx: Tx, redrive: Redrive, { backlog }: RunFacts, paced: Pace, deps: AdvanceDeps): Promise<Step> {
  const [next] = await nextItems(tx, redrive.id, redrive.rate.last, 1);
  if (!next && backlog > 0) await settleStrays(tx, redrive.id, 1_000);
  if (!next && !(await isAnyOut(tx, redrive.id))) return finish(tx, redrive, deps);
  const isOld =
    paced.rate.limited_by !== redrive.rate.limited_by || paced.rate.governed_at !== redrive.rate.governed_at;
  if (isOld || paced.canary) {
    await changeRedrive(tx, redrive.id, {
      ...(paced.canary && { canary: paced.canary }),
      rate: { ...redrive.rate, ...paced.rate },
    });
  }
  return { more: paced.canary !== undefined };
}

async function finish(tx: Tx, { id, included }: Redrive, { log }: AdvanceDeps): Promise<Step> {
  await changeRedrive(tx, id, { state: 'done' });
  tx.afterCommit(() => log.info('redrive_finished', { redrive_id: id, state: 'done', items: included }));
  return idle;
}

function count(tx: Tx, { metrics }: AdvanceDeps, sent: number, skipped: number): void {
  tx.afterCommit(() => {
    const items = metrics.counter('redrive_items_total');
    if (sent > 0) items.labels({ outcome: 'sent' }).inc(sent);
    if (skipped > 0) items.labels({ outcome: 'skipped' }).inc(skipped);
  });
}
