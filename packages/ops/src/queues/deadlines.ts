import { JobTimeout } from './failure.ts';

/** How late a deadline may be noticed, in ms. One timer looks after all attempts of a process: a timer each costs more than a short job. */
const lookEveryMs = 50;

/** The end of one attempt's patience. */
export class Deadline {
  readonly #endsAt: number;
  readonly #timeoutMs: number;
  #controller: AbortController | undefined;
  #reject: ((error: Error) => void) | undefined;
  #ended: Error | undefined;

  constructor(timeoutMs: number, now: number) {
    this.#timeoutMs = timeoutMs;
    this.#endsAt = now + timeoutMs;
  }

  /** Fires when the attempt should give up. Made on demand: most handlers never ask for it. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#ended) this.#controller.abort(this.#ended);
    return this.#controller.signal;
  }

  /** The result of `work`, or the error that ended the attempt first: a handler that hangs does not hold its worker. */
  within<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (this.#ended) reject(this.#ended);
      work.then(resolve, reject);
    });
  }

  end(error: Error): void {
    this.#ended = error;
    this.#controller?.abort(error);
    this.#reject?.(error);
  }

  /** Ends the attempt when its time is over. */
  look(now: number): void {
    if (now >= this.#endsAt && !this.#ended) this.end(new JobTimeout(`no result within ${this.#timeoutMs} ms`));
  }
}

/** The deadlines of all attempts under way in a process. */
export class Deadlines {
  readonly #open = new Set<Deadline>();
  readonly #timer: NodeJS.Timeout;
  /** The process must stop: nothing may wait for better times. */
  stopping = false;

  constructor() {
    this.#timer = setInterval(() => this.#look(), lookEveryMs).unref();
  }

  open(timeoutMs: number): Deadline {
    const deadline = new Deadline(timeoutMs, performance.now());
    this.#open.add(deadline);
    return deadline;
  }

  close(deadline: Deadline): void {
    this.#open.delete(deadline);
  }

  /** Ends every attempt under way, such as when the process must stop. */
  endAll(error: Error): void {
    this.stopping = true;
    for (const deadline of this.#open) deadline.end(error);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    for (const deadline of this.#open) deadline.look(now);
  }
}
