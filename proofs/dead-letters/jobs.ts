import { z } from 'zod';
import { type DeathCause, defineQueue } from '../../packages/ops/src/index.ts';

/** How a job ends by itself, as its payload orders it, and the cause its dead letter must name; null: it has its effect. */
export const ends = {
  succeed: null,
  exhaust: 'exhausted',
  throw_inside_commit: 'exhausted',
  throw_undefined: 'exhausted',
  throw_refused_characters: 'exhausted',
  throw_huge: 'exhausted',
  throw_circular: 'exhausted',
  permanent: 'permanent',
  crash: 'crash_loop',
  stall: 'stalled',
} as const satisfies Record<string, DeathCause | null>;
export type End = keyof typeof ends;

/** What else is done to a job from outside, and what must come of it. */
export const mishaps = {
  /** A kind that the queue does not have. */
  unknown_kind: 'permanent',
  /** A payload that breaks its schema. */
  invalid: 'invalid',
  /** An envelope that is no JSON: Redis never gets it. */
  unparsable: 'invalid',
  /** Redis forgets it each time it was handed over. */
  lost: 'lost',
  /** Redis forgets its content once, and not its id. */
  mislaid: null,
  /** An operator removes it before it runs. */
  remove: 'removed',
  /** Due long after the proof has ended. */
  wait: null,
  /** In Redis with our envelope; Postgres knows no run. */
  orphan: 'orphaned',
  /** A stranger's job in our queue. */
  foreign: 'unreadable',
  /** Bytes in place of a stranger's job. */
  garbage: 'unreadable',
  /** Bytes in the failed set. */
  failed_garbage: 'unreadable',
} as const satisfies Record<string, DeathCause | null>;
export type Mishap = keyof typeof mishaps;

export type Fate = End | Mishap;
export const causeOf: Readonly<Record<Fate, DeathCause | null>> = { ...ends, ...mishaps };

const endNames = Object.keys(ends) as [End, ...End[]];

export const task = z.strictObject({
  /** Also the run key: what the checker counts by. */
  marker: z.string(),
  end: z.enum(endNames),
  note: z.string().optional(),
});
export type Task = z.infer<typeof task>;

/** Text that Postgres refuses in a jsonb. */
export const refusedCharacters = 'nul \u0000, half a pair \ud800, escape \u001b[31m';

export function payloadOf(marker: string, fate: Fate): Task {
  const end: End = fate in ends ? (fate as End) : 'succeed';
  return { marker, end, ...(end === 'throw_refused_characters' && { note: refusedCharacters }) };
}

const kinds = { task: { schema: task, sideEffect: 'guarded' } } as const;
const twice = { attempts: 2, backoffMs: [20], kinds } as const;

/** The mixed load. */
export const work = defineQueue({ name: 'work', ...twice });
/** Bursts of one kind of death, for a worker that is killed at one point. */
export const aimed = defineQueue({ name: 'aimed', ...twice });
/** Jobs that kill or block their process: innocent ones are not beside them. */
export const volatile = defineQueue({ name: 'volatile', ...twice });
/** Without a worker until its jobs are retried. */
export const unattended = defineQueue({ name: 'unattended', ...twice });
/** What is redriven. */
export const bulk = defineQueue({ name: 'bulk', attempts: 1, backoffMs: [], kinds });

export const queues = [work, aimed, volatile, unattended, bulk];
export type ProofQueue = (typeof queues)[number];

export const prefix = '{proof}';
/** A job whose lock was not renewed for this long is offered again, in ms. */
export const lockMs = 1_000;
