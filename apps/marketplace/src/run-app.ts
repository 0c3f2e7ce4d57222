import { type Runnable, runUntilSignal } from '@fmhl/ops';
import type { App } from './app.ts';

/** Runs the parts until a signal, drains them and closes what the application holds. */
export async function runApp(app: App, parts: readonly Runnable[]): Promise<void> {
  const { log, config, ops } = app;
  try {
    await runUntilSignal(parts, { log, drainMs: config.shutdownDrainMs, onDraining: () => ops.health.markDraining() });
  } finally {
    await app.close();
  }
  log.info('process_exiting', { role: app.role });
}
