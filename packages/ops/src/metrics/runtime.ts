import { collectDefaultMetrics, Registry } from 'prom-client';

/** The client's metrics of process and Node (`process_*`, `nodejs_*`), as text. They fail open: an error gives nothing. */
export function openRuntimeMetrics(): () => Promise<string> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Gauges whose names end like counters; `nodejs_active_handles{type}` and its siblings say the same and more.
  for (const kind of ['handles', 'requests', 'resources']) registry.removeSingleMetric(`nodejs_active_${kind}_total`);
  return async () => {
    try {
      return await registry.metrics();
    } catch {
      return '';
    }
  };
}
