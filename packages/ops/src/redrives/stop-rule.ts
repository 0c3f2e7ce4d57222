import type { RedriveOptions } from './contract.ts';

/** Verdicts that a rule looks back on. */
export const verdictWindow = 50;
/** Below this many verdicts a ratio says nothing. */
const leastVerdicts = 10;

export interface Stop {
  readonly rule: 'success_below' | 'new_fingerprint' | 'canary_failed' | 'canary_inconclusive';
  readonly [detail: string]: unknown;
}

/** Newest first. */
export type Verdicts = readonly ('succeeded' | 'failed')[];

/** Failed among verdicts, 0 to 1; null when there are too few to tell. */
export function failureRatio(verdicts: Verdicts): number | null {
  if (verdicts.length < leastVerdicts) return null;
  return verdicts.filter((outcome) => outcome === 'failed').length / verdicts.length;
}

/** Why a running redrive must stop; undefined when it may go on. Pure. */
export function judgeRun(
  verdicts: Verdicts,
  newFingerprints: readonly string[],
  stopWhen: RedriveOptions['stop_when'],
): Stop | undefined {
  if (stopWhen.new_fingerprint && newFingerprints.length > 0) {
    return { rule: 'new_fingerprint', fingerprints: newFingerprints.slice(0, 10) };
  }
  const ratio = failureRatio(verdicts);
  if (ratio === null || 1 - ratio >= stopWhen.success_below) return undefined;
  return { rule: 'success_below', success: 1 - ratio, limit: stopWhen.success_below, verdicts: verdicts.length };
}

export interface Stage {
  /** Items of the plan that may be out in it. */
  readonly limit: number;
  readonly isLast: boolean;
}

/** How far a redrive may go in a stage of its ramp. Pure. */
export function stageOf(included: number, shares: readonly number[], stage: number): Stage {
  const share = shares[stage] ?? 1;
  return { limit: Math.ceil(included * share), isLast: stage >= shares.length - 1 };
}

export interface StageFacts {
  readonly taken: number;
  /** Items sent whose outcome is not known. */
  readonly backlog: number;
  /** Verdicts since the stage began; counted up to {@link verdictWindow}. */
  readonly verdicts: number;
}

/** Whether a stage has shown enough: all of it is out, and its verdicts fill a window or are all in. Pure. */
export function stageIsPassed({ limit, isLast }: Stage, { taken, backlog, verdicts }: StageFacts): boolean {
  return !isLast && taken >= limit && (verdicts >= verdictWindow || backlog === 0);
}
