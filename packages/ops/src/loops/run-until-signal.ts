import type { Logger } from '../logging/index.ts';
import type { Runnable } from './loop.ts';

export interface RunOptions {
  readonly log: Logger;
  /** Told at the first signal, before anything stops; such as `health.markDraining`. */
  readonly onDraining?: () => void;
  /** Pause between the signal and the first stop, so that a load balancer looks away, in ms. Default 0. */
  readonly drainMs?: number;
  /** The process ends by force when the drain takes longer, in ms. Default 30,000. */
  readonly stopWithinMs?: number;
}

/** Terminals, npm and shells pass one Ctrl-C on several times; what comes within this time is the same wish, in ms. */
const sameSignalMs = 1_000;

/**
 * Starts the parts in order, waits for SIGINT or SIGTERM, and stops them in the reverse order.
 * A second signal, later than a second after the first, ends the process at once with code 130; SIGUSR2 turns debug on.
 * Throws what a failed start threw, after stopping what had started.
 */
export async function runUntilSignal(parts: readonly Runnable[], options: RunOptions): Promise<void> {
  const { log, onDraining, drainMs = 0, stopWithinMs = 30_000 } = options;
  const signalled = nextSignal();
  const debug = () => log.enableDebugFor();
  process.on('SIGUSR2', debug);
  try {
    const started = await startAll(parts);
    const signal = await signalled.received;
    log.info('process_draining', { signal });
    onDraining?.();
    const force = setTimeout(() => exitByForce(log), stopWithinMs).unref();
    await new Promise((resolve) => setTimeout(resolve, drainMs));
    for (const part of started.reverse()) await part.stop();
    clearTimeout(force);
  } finally {
    process.off('SIGUSR2', debug);
    signalled.ignore();
  }
}

/** Starts parts in order; when one fails, those before it are stopped and its error is thrown. */
export async function startAll(parts: readonly Runnable[]): Promise<Runnable[]> {
  const started: Runnable[] = [];
  try {
    for (const part of parts) {
      await part.start();
      started.push(part);
    }
    return started;
  } catch (error) {
    for (const part of started.reverse()) await part.stop();
    throw error;
  }
}

function exitByForce(log: Logger): never {
  log.error('process_exiting', new Error('the drain took too long'), { forced: true });
  process.exit(1);
}

const signals = ['SIGINT', 'SIGTERM'] as const;

function nextSignal() {
  const { promise, resolve } = Promise.withResolvers<string>();
  let firstAt: number | undefined;
  const onSignal = (signal: string) => {
    const now = performance.now();
    firstAt ??= now;
    if (now - firstAt > sameSignalMs) process.exit(130);
    resolve(signal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return {
    received: promise,
    ignore() {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}
