import { collectDefaultMetrics, Registry } from 'prom-client';

/** The client's metrics of process and Node (`process_*`, `nodejs_*`), as text. They fail open: an error gives nothing. */
export function openRuntimeMetrics(): () => Promise<string> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return async () => {
    try {
      return await registry.metrics();
    } catch {
      return '';
    }
  };
}
