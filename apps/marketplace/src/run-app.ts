import { type Runnable, runUntilSignal } from '@fmhl/ops';
import type { App } from './app.ts';

/** Says so in the log once signals are heeded: whoever reads the line may send one. */
function announce({ log, role }: App): Runnable {
  return {
    name: 'announce',
    start: async () => log.info('process_started', { role, pid: process.pid }),
    stop: async () => {},
  };
}

/** Runs the parts until a signal, drains them and closes what the application holds. */
export async function runApp(app: App, parts: readonly Runnable[]): Promise<void> {
  const { log, config, ops } = app;
  try {
    await runUntilSignal([announce(app), ...parts], {
      log,
      drainMs: config.shutdownDrainMs,
      onDraining: () => ops.health.markDraining(),
    });
  } finally {
    await app.close();
  }
  log.info('process_exiting', { role: app.role });
}
