import type { z } from 'zod';
import { probeKind } from './probe.ts';

/** How a repeat of a job's effect behaves: absorbed by nature, absorbed by a business key, or harmful. */
export type SideEffect = 'idempotent' | 'guarded' | 'unsafe';

/** One kind of job that a queue accepts. */
export interface JobKind<Payload = unknown> {
  /** Checked when the job is enqueued and again when it runs. */
  readonly schema: z.ZodType<Payload>;
  readonly sideEffect: SideEffect;
  /** 0 is served first and is the default; larger numbers wait behind smaller ones, up to 2,097,152. */
  readonly priority?: number;
  /** A retry of a dead letter this many ms after its first failure asks for an acceptance. Default: none. */
  readonly safeForMs?: number;
  /** JSON pointers into the payload that no operator may edit: amounts, ids of accounts, business keys. */
  readonly lockedPaths?: readonly string[];
  /**
   * JSON pointers to what the payload holds of persons; the step `*` is every member or item. Masked, with all below them, wherever a payload
   * or its error is shown to who may not see personal values, besides keys that name such by themselves (`email`, `name`, `phone`, …).
   * Default: none.
   */
  readonly personalPaths?: readonly string[];
  /** The handler's AbortSignal fires after this many ms. Default 60,000. */
  readonly timeoutMs?: number;
}

/** A queue: its names, its patience, and the kinds of job it accepts. */
export interface QueueDefinition<Kinds extends Record<string, JobKind> = Record<string, JobKind>> {
  /** Canonical name, `[a-z][a-z0-9_]*`; also the metric label. */
  readonly name: string;
  /** Other names accepted wherever a person writes the queue's name. */
  readonly aliases?: readonly string[];
  /** Most failed attempts before the run dies. */
  readonly attempts: number;
  /** Wait before each further attempt, in ms; the last one repeats. Jitter of ±20 % is added. */
  readonly backoffMs: readonly number[];
  readonly kinds: Kinds;
}

/** What a kind of a queue carries. */
export type PayloadOf<Queue extends QueueDefinition, Kind extends keyof Queue['kinds']> = z.infer<
  Queue['kinds'][Kind]['schema']
>;

/** Checks a queue's definition and returns it with its exact type. Throws a TypeError that says what would be valid. */
export function defineQueue<const Kinds extends Record<string, JobKind>>(
  definition: QueueDefinition<Kinds>,
): QueueDefinition<Kinds> {
  const { name, attempts, backoffMs, kinds } = definition;
  if (!/^[a-z][a-z0-9_]{0,63}$/.test(name)) {
    throw new TypeError(`queue name "${name}" must be lower-case letters, digits and _, starting with a letter`);
  }
  if (name === 'dlq') throw new TypeError('a queue may not be called "dlq": the path is taken by the dead letters');
  if (!Number.isInteger(attempts) || attempts < 1 || attempts > 100) {
    throw new TypeError(`queue ${name}: attempts must be an integer from 1 to 100`);
  }
  if (attempts > 1 && backoffMs.length === 0) throw new TypeError(`queue ${name}: backoffMs needs at least one wait`);
  if (probeKind in kinds) throw new TypeError(`queue ${name}: a kind may not be called "${probeKind}"`);
  const wrong = Object.values(kinds)
    .flatMap(({ personalPaths = [] }) => personalPaths)
    .find((path) => !path.startsWith('/'));
  if (wrong !== undefined)
    throw new TypeError(`queue ${name}: "${wrong}" of personalPaths must be a JSON pointer: /a/b`);
  if (Object.keys(kinds).length === 0) throw new TypeError(`queue ${name}: needs at least one kind of job`);
  return definition;
}
