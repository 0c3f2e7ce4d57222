import type { Metrics } from '../metrics/index.ts';
import { lastCaptured } from './probe-results.ts';
import { type ProofDeps, readProof } from './proof.ts';

/** Reads the capture proof on scrape, at most every 10 s. */
export function watchProof({ metrics, ...deps }: ProofDeps & { metrics: Metrics }): void {
  metrics.collect({
    name: 'capture_proof',
    gauges: ['dlq_proof_gap', 'dlq_capture_errors_total', 'capture_probe_last_success_timestamp_seconds'],
    cacheMs: 10_000,
    read: async () => {
      const [{ rows }, captured] = await Promise.all([readProof(deps), lastCaptured(deps.db, deps.registry.names)]);
      return [
        ...rows.flatMap(({ name: queue, gap, capture_errors }) => [
          { metric: 'dlq_proof_gap' as const, labels: { queue }, value: gap },
          { metric: 'dlq_capture_errors_total' as const, labels: { queue }, value: capture_errors },
        ]),
        ...[...captured].map(([queue, at]) => ({
          metric: 'capture_probe_last_success_timestamp_seconds' as const,
          labels: { queue },
          value: at,
        })),
      ];
    },
  });
}
