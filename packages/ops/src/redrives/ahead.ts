import { runWithContext } from '../logging/index.ts';
import { advance, type AdvanceDeps, Overtaken, run, type Step } from './advance.ts';
import { nextItems } from './item-queries.ts';
import { lockRedrive, type Redrive } from './queries.ts';
import { claimItems } from './take.ts';

/** A step under way behind one that is not committed yet. */
interface Early {
  /** The redrive as this step will leave it, if it may be followed in the same way: known before the step is done. */
  readonly next: Promise<Redrive | undefined>;
  /** Undefined when nothing of it stays. */
  readonly made: Promise<Step | undefined>;
}

/** Redrives that nothing limits, driven two steps at a time. */
export interface Strides {
  advance(id: string): Promise<{ more: boolean }>;
  /** Forgets all but these. */
  keep(ids: readonly string[]): void;
  /** Resolves when no step is under way. */
  settle(): Promise<void>;
}

/** Longest wait for a lock of an early step, in ms: below Postgres's look for deadlocks, so that it gives way to another engine. */
const lockTimeoutMs = 200;
/** How long steps follow one another plainly after one that was overtaken, in ms: another engine may be at work. */
const plainForMs = 5_000;

/**
 * While nothing limits a redrive, its next step claims letters while the one before commits: the processors have work while a disk writes. Such a
 * step holds no row of the redrive until the one before has ended. Then it locks it and decides as any other, on what holds by then; when
 * it may not send all it has claimed, or another engine was there, it is rolled back, and an ordinary step follows.
 */
export function openStrides(deps: AdvanceDeps): Strides {
  const early = new Map<string, Early>();
  const underWay = new Set<Promise<unknown>>();
  let plainUntil = 0;
  const follow = (redrive: Redrive | undefined, previous: Promise<unknown>) => {
    if (!redrive || performance.now() < plainUntil) return;
    const begun = begin(deps, redrive, previous);
    early.set(redrive.id, begun);
    underWay.add(begun.made);
    void begun.made.then(() => underWay.delete(begun.made));
  };
  return {
    async advance(id) {
      const current = early.get(id);
      if (current) {
        follow(await current.next, current.made);
        const made = await current.made;
        if (early.get(id) === current) early.delete(id);
        if (made) return made;
        plainUntil = performance.now() + plainForMs;
        // What was begun behind it is overtaken as well.
        await early.get(id)?.made;
        early.delete(id);
      }
      const made = await advance(deps, id);
      follow(made.next, Promise.resolve());
      return made;
    },
    keep(ids) {
      for (const id of early.keys()) if (!ids.includes(id)) early.delete(id);
    },
    async settle() {
      await Promise.all(underWay);
    },
  };
}

function begin(deps: AdvanceDeps, redrive: Redrive, previous: Promise<unknown>): Early {
  const next = Promise.withResolvers<Redrive | undefined>();
  const made = stepEarly(deps, redrive, previous, next.resolve)
    // Whatever it was, an ordinary step meets it again, and tells it.
    .catch(() => undefined)
    .finally(() => next.resolve(undefined));
  return { next: next.promise, made };
}

async function stepEarly(
  deps: AdvanceDeps,
  redrive: Redrive,
  previous: Promise<unknown>,
  tellNext: (next: Redrive) => void,
): Promise<Step> {
  const { id, rate } = redrive;
  const made = await deps.db.transaction(
    (tx) =>
      runWithContext({ correlationId: redrive.correlation_id }, async () => {
        const items = await nextItems(tx, id, rate.last, deps.batch);
        const last = items.at(-1)?.ord;
        if (last === undefined) throw new Overtaken();
        const taken = rate.taken + items.length;
        const isFull = items.length === deps.batch && taken + deps.batch <= deps.limits.window;
        if (isFull) tellNext({ ...redrive, rate: { ...rate, last, taken } });
        const early = await claimItems(tx, items, { redrive, careful: false }, deps);
        await previous;
        const now = await lockRedrive(tx, id);
        // Its version moves on with its state: it is as it was, but for what the step before has sent.
        if (now?.state !== 'running' || now.version !== redrive.version || now.rate.last !== rate.last)
          throw new Overtaken();
        return run(tx, now, deps, { early });
      }),
    { lockTimeoutMs },
  );
  await deps.failpoint('redrive.after_commit');
  return made;
}
