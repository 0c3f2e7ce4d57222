import type { Runnable } from '@fmhl/ops';
import type { App } from './app.ts';

/** Longest drain before the process ends by force, in ms. */
const forcedExitMs = 30_000;

/** Runs started parts until SIGINT or SIGTERM, drains them and answers the exit code. A second signal ends at once. */
export async function runUntilSignal(app: App, parts: readonly Runnable[], after: () => Promise<void> = async () => {}): Promise<number> {
  process.on('SIGUSR2', () => app.log.enableDebugFor());
  const signal = await nextSignal();
  app.log.info('process_draining', { signal });
  app.ops.health.markDraining();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(130));
  setTimeout(() => {
    app.log.error('process_exiting', new Error('the drain took too long'), { forced: true });
    process.exit(1);
  }, forcedExitMs).unref();
  await new Promise((resolve) => setTimeout(resolve, app.config.shutdownDrainMs));
  for (const part of parts) await part.stop();
  await app.close();
  await after();
  app.log.info('process_exiting', { signal });
  return 0;
}

function nextSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => resolve(name));
  });
}
