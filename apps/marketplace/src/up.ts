import type { Config } from './config.ts';
import { startEmbedded } from './embedded/index.ts';

/** `fmhl up`: the whole product in one process, on embedded servers where none are given. Answers the exit code. */
export async function up(config: Config): Promise<number> {
  const interruption = watchForInterruption();
  try {
    const starting = startEmbedded(config);
    // While they start, which takes half a second of waiting, the product is loaded, which takes as much of work.
    const loading = import('./whole-product.ts');
    const embedded = await starting;
    try {
      interruption.throwIfCame();
      const { openMigrated, partsOf, runApp } = await loading;
      const app = await openMigrated(config, embedded);
      interruption.throwIfCame();
      // From here on the signals belong to those who run the parts.
      interruption.stopWatching();
      await runApp(app, partsOf(app, embedded));
    } finally {
      await embedded.stop();
    }
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
  } finally {
    interruption.stopWatching();
  }
  return 0;
}

class Interrupted extends Error {}

/** A signal before the parts run ends the start after the step under way, so that no server stays behind. */
function watchForInterruption() {
  let came = false;
  const note = () => {
    came = true;
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, note);
  return {
    throwIfCame() {
      if (came) throw new Interrupted();
    },
    stopWatching() {
      for (const signal of signals) process.off(signal, note);
    },
  };
}
