import { setTimeout as wait } from 'node:timers/promises';
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

/** How long a part that is starting may finish that, once the process shall stop, in ms. */
const startGraceMs = 2_000;

/**
 * Starts the parts in order, waits for SIGINT or SIGTERM, and stops them in the reverse order; a signal during the start ends that.
 * A second signal, later than a second after the first, ends the process at once with code 130; SIGUSR2 turns debug on.
 * Throws what a failed start threw, after stopping what had started.
 */
export async function runUntilSignal(parts: readonly Runnable[], options: RunOptions): Promise<void> {
  const { log, onDraining, drainMs = 0, stopWithinMs = 30_000 } = options;
  const signalled = nextSignal();
  const debug = () => log.enableDebugFor();
  process.on('SIGUSR2', debug);
  try {
    const begun: Runnable[] = [];
    const starting = startInto(begun, parts, () => !signalled.isReceived());
    await Promise.race([starting, signalled.received]);
    const signal = await signalled.received;
    log.info('process_draining', { signal });
    onDraining?.();
    const force = setTimeout(() => exitByForce(log), stopWithinMs).unref();
    // A part that waits for an absent server would keep the process for ever.
    await Promise.race([starting.catch(() => {}), wait(startGraceMs, undefined, { ref: false })]);
    await wait(drainMs);
    for (const part of begun.splice(0).reverse()) await part.stop();
    clearTimeout(force);
  } finally {
    process.off('SIGUSR2', debug);
    signalled.ignore();
  }
}

/** Starts parts in order; when one fails, those before it are stopped and its error is thrown. */
export async function startAll(parts: readonly Runnable[]): Promise<Runnable[]> {
  const started: Runnable[] = [];
  await startInto(started, parts, () => true);
  return started;
}

async function startInto(begun: Runnable[], parts: readonly Runnable[], goesOn: () => boolean): Promise<void> {
  try {
    for (const part of parts) {
      if (!goesOn()) return;
      begun.push(part);
      await part.start();
    }
  } catch (error) {
    for (const part of begun.splice(0, begun.length - 1).reverse()) await part.stop();
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
    isReceived: () => firstAt !== undefined,
    ignore() {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}
