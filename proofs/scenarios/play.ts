import type { Ground } from '../../apps/marketplace/src/simulator/live/ground.ts';
import { type Scenario, watchSignals } from '../../apps/marketplace/src/simulator/scenarios/index.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import { settles } from '../harness/settled.ts';
import type { Demo } from './demo.ts';

export interface Played {
  /** From the fault until it showed, and from then until the remedy had cleared it, in ms. */
  readonly signalMs: number;
  readonly remedyMs: number;
  /** What was lost, doubled or broken, one line each. */
  readonly faults: readonly string[];
}

/** Of a busy machine. */
const showsWithinMs = 60_000;
const settlesWithinMs = 30_000;

/** Makes the fault, waits for its signal, takes the remedy, and looks whether everything is as it should be. */
export async function playThrough(scenario: Scenario, { ground, mails }: Demo): Promise<Played> {
  const watch = await watchSignals(ground, scenario.signals);
  const startedAt = performance.now();
  // It looks from the start, as somebody on duty would: some faults show while they are made.
  const appearing = watch.appear(showsWithinMs);
  appearing.catch(() => {});
  const facts = await scenario.inject(ground);
  try {
    await appearing;
    const seenAt = performance.now();
    const unseen = await unseenBreaches(scenario, ground);
    await scenario.remedy(ground, facts);
    await watch.vanish(showsWithinMs);
    const remediedAt = performance.now();
    const isSettled = await settles(ground.db, settlesWithinMs);
    const faults = [
      ...unseen,
      ...(isSettled ? [] : ['jobs are still open']),
      ...(await complaintsOfDoctor(ground)),
      ...(await mails.faults()),
    ];
    return { signalMs: Math.round(seenAt - startedAt), remedyMs: Math.round(remediedAt - seenAt), faults };
  } finally {
    await scenario.stop(ground, facts);
  }
}

/** What the doctor should complain of while the fault is there, and does not: a look that never finds anything proves nothing. */
async function unseenBreaches({ breaks = [] }: Scenario, ground: Ground): Promise<string[]> {
  if (breaks.length === 0) return [];
  const complaints = await complaintsOfDoctor(ground);
  const isSeen = (name: string) => complaints.some((line) => line.startsWith(`${name} breached`));
  return breaks.filter((name) => !isSeen(name)).map((name) => `the doctor does not see that ${name} is broken`);
}

/** Waits until the doctor complains of nothing: of a new product it cannot ask all, as there is no anchor of the audit log yet. */
export async function waitUntilSound(ground: Ground): Promise<void> {
  const isSound = async () => (await complaintsOfDoctor(ground)).length === 0;
  await pollUntil(isSound, { deadlineMs: showsWithinMs, everyMs: 250 });
}

interface DoctorReport {
  readonly probes: readonly { name: string; state: string; reason: string | null; rows: readonly object[] }[];
  readonly parts: readonly { name: string; state: string; says: string }[];
}

/** Every probe over all rows, and every part: what is broken, and what could not be asked. */
async function complaintsOfDoctor({ operator }: Ground): Promise<string[]> {
  const { probes, parts } = await operator.get<DoctorReport>('/admin/doctor?full=true');
  return [
    ...probes
      .filter(({ state }) => state !== 'ok')
      .map(({ name, state, reason, rows }) => `${name} ${state}: ${reason ?? JSON.stringify(rows.slice(0, 3))}`),
    ...parts
      .filter(({ state }) => state === 'bad' || state === 'unknown')
      .map(({ name, state, says }) => `${name} ${state}: ${says}`),
  ];
}
