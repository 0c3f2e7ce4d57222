import { setTimeout as wait } from 'node:timers/promises';

/** Anything that runs: `start()` resolves when it is working, `stop()` when its current batch is finished. Both are safe twice. */
export interface Runnable {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface LoopOptions {
  readonly name: string;
  /** One pass. Answers whether more work waits, so that the next pass starts at once. */
  readonly runOnce: (signal: AbortSignal) => Promise<{ more: boolean }>;
  /** Pause between passes that found nothing more, in ms. */
  readonly everyMs: number;
  /** Pause after a pass that threw, in ms. Default 1,000, or `everyMs` when that is longer. */
  readonly pauseAfterErrorMs?: number;
  readonly onError: (error: unknown) => void;
}

/** A named pass and a timer around it. `wake()` ends the pause early. */
export interface Loop extends Runnable {
  wake(): void;
}

export function repeating(options: LoopOptions): Loop {
  return new TimedLoop(options);
}

class TimedLoop implements Loop {
  readonly name: string;
  readonly #options: LoopOptions;
  #stopping = new AbortController();
  #pause = new AbortController();
  #running: Promise<void> | undefined;
  #woken = false;

  constructor(options: LoopOptions) {
    this.name = options.name;
    this.#options = options;
  }

  async start() {
    if (this.#running) return;
    this.#stopping = new AbortController();
    this.#running = this.#run(this.#stopping.signal);
  }

  async stop() {
    this.#stopping.abort();
    this.#pause.abort();
    await this.#running;
    this.#running = undefined;
  }

  wake() {
    this.#woken = true;
    this.#pause.abort();
  }

  async #run(signal: AbortSignal) {
    while (!signal.aborted) {
      this.#woken = false;
      const pauseMs = await this.#pass(signal);
      if (!this.#woken && pauseMs > 0 && !signal.aborted) await this.#sleep(pauseMs);
    }
  }

  async #pass(signal: AbortSignal): Promise<number> {
    const { runOnce, everyMs, pauseAfterErrorMs = Math.max(1_000, everyMs), onError } = this.#options;
    try {
      return (await runOnce(signal)).more ? 0 : everyMs;
    } catch (error) {
      if (!signal.aborted) onError(error);
      this.#woken = false;
      return pauseAfterErrorMs;
    }
  }

  async #sleep(ms: number) {
    this.#pause = new AbortController();
    await wait(ms, undefined, { signal: this.#pause.signal }).catch(() => {});
  }
}
