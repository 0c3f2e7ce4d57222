import type { Logger } from '../logging/index.ts';
import { checkRule } from './fire-times.ts';

/** What a run did, by name: integers. Stored with the run, logged and audited. */
export type Counts = Readonly<Record<string, number>>;

/** What happens with fire times that passed while nobody could act: none of them is run, the last one, or all up to a limit. */
export type CatchUp = 'none' | 'last' | 'all';

/** What a run of a schedule is given. */
export interface ScheduleContext {
  /** UUID of the row in the ledger; the same for each attempt of the run. */
  readonly runId: string;
  /** The fire time this run is for; of a run by hand, when it was asked for. */
  readonly fireAt: Date;
  /** When this attempt started, by the clock of the database. */
  readonly now: Date;
  readonly correlationId: string;
  /** Fires at the schedule's timeout and at shutdown; pass it on to whatever waits. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** What a host says of one schedule. */
export interface ScheduleOptions {
  /** 1–60 characters of `a-z`, `0-9` and `-`, beginning with a letter; unique. */
  readonly name: string;
  /** Five fields (minute, hour, day of month, month, day of week), or six with seconds first. */
  readonly cron: string;
  /** IANA name; the fields of `cron` are wall time there. Default `UTC`. */
  readonly timeZone?: string;
  /** Default `last`. */
  readonly catchUp?: CatchUp;
  /** Fire times that `all` runs at most after an outage, the newest; 1–1,000. Default 100. */
  readonly catchUpLimit?: number;
  /** Whether a run may start while another one is under way. Default false: the tick is skipped. */
  readonly overlap?: boolean;
  /** False: listed as switched off by configuration; no expected runs, and none is missed. Default true. */
  readonly enabled?: boolean;
  /** A run that starts later than this after its fire time is `late`, in ms. Default the larger of 30,000 and a tenth of the interval. */
  readonly graceMs?: number;
  /** A run longer than this `overran`, in ms. Default the interval. */
  readonly limitMs?: number;
  /** The signal of an attempt fires after this many ms; at most 3,600,000. Default 600,000. */
  readonly timeoutMs?: number;
  /** Action of the one audit row of each run: `<area>.<past tense>`. */
  readonly auditAction: string;
  /** Does the work, in transactions of its own, and answers what it did. Throws to be tried again. It may be called again for the same run. */
  readonly run: (context: ScheduleContext) => Promise<Counts>;
}

/** A schedule with every default filled in, but those that follow from its interval. */
export interface ScheduleDefinition extends ScheduleOptions {
  readonly timeZone: string;
  readonly catchUp: CatchUp;
  readonly catchUpLimit: number;
  readonly overlap: boolean;
  readonly enabled: boolean;
  readonly timeoutMs: number;
}

const nameForm = /^[a-z][a-z0-9-]{0,59}$/;
const actionForm = /^[a-z_]+\.[a-z_]+$/;

/** Checks a schedule and fills in its defaults. Throws a TypeError that says what would be valid. */
export function defineSchedule(options: ScheduleOptions): ScheduleDefinition {
  const { name, auditAction, timeoutMs = 600_000, catchUpLimit = 100 } = options;
  if (!nameForm.test(name))
    throw new TypeError(`schedule name "${name}" must be lower-case letters, digits and -, starting with a letter`);
  if (!actionForm.test(auditAction))
    throw new TypeError(`schedule ${name}: auditAction "${auditAction}" must look like area.past_tense`);
  if (!(timeoutMs > 0 && timeoutMs <= 3_600_000))
    throw new TypeError(`schedule ${name}: timeoutMs must be from 1 to 3,600,000`);
  if (!Number.isInteger(catchUpLimit) || catchUpLimit < 1 || catchUpLimit > 1_000)
    throw new TypeError(`schedule ${name}: catchUpLimit must be an integer from 1 to 1,000`);
  const definition = { timeZone: 'UTC', catchUp: 'last', overlap: false, enabled: true, ...options } as const;
  checkRule(definition);
  return { ...definition, timeoutMs, catchUpLimit };
}
