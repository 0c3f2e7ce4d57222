import type { Metrics } from '../metrics/index.ts';
import type { Database } from '../postgres/index.ts';
import { readLastLook } from './store.ts';

/** An older look says nothing of now, in ms: three of ten minutes. */
export const staleAfterMs = 30 * 60_000;

/** Reads on scrape what the last scheduled look found, so that every process shows the same. What was not checked, or long ago, has no series. */
export function watchInvariants({ db, metrics }: { db: Database; metrics: Metrics }): void {
  metrics.collect({
    name: 'invariants',
    gauges: ['invariant_violations'],
    cacheMs: 10_000,
    read: async () => {
      const look = await readLastLook(db, { maxAgeMs: staleAfterMs });
      const checked = look?.probes.filter(({ state }) => state !== 'not_checked') ?? [];
      return checked.map(({ name, count }) => ({
        metric: 'invariant_violations' as const,
        labels: { invariant: name },
        value: count,
      }));
    },
  });
}
