import type { Runnable } from './loop.ts';

/** Several runnables under one name: started in order, stopped in the reverse order. A failed start stops what had started. */
export function together(name: string, parts: readonly Runnable[]): Runnable {
  const started: Runnable[] = [];
  const stop = async () => {
    for (const part of started.splice(0).reverse()) await part.stop();
  };
  return {
    name,
    async start() {
      if (started.length > 0) return;
      try {
        for (const part of parts) {
          started.push(part);
          await part.start();
        }
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
  };
}
