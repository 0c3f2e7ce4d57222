import type { ProbeResult } from './contract.ts';

/** What is remembered of a look. */
export interface Look {
  readonly begunAt: Date;
  readonly probes: readonly Pick<ProbeResult, 'name' | 'state' | 'since'>[];
}

/** What was written before a look began may be committed after it: longer than any transaction may take. */
export const overlapMs = 15 * 60_000;

/**
 * Since when a probe has to look: what changed after the last look that found it to hold. A breach stays in sight until a look that covers
 * it finds none, and so does what could not be checked. Null for everything.
 */
export function sinceOf(name: string, last: Look | undefined): Date | null {
  const before = last?.probes.find((probe) => probe.name === name);
  if (!last || !before) return null;
  if (before.state === 'ok') return new Date(last.begunAt.getTime() - overlapMs);
  return before.since === null ? null : new Date(before.since);
}
