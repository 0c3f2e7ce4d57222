/** Below this concurrency a queue is not busy enough for its commits to be shared. */
const leastForAhead = 8;
/** Jobs of this length or shorter are fetched ahead, in ms, where recording a start takes longer than `longRecordMs`. */
const shortJobMs = 5;
const longRecordMs = 0.5;
/**
 * How many times the concurrency are then in hand, nearly all of them waiting for a commit: at concurrency 32, failing jobs went at 6,000 a
 * second with 16 times, 6,500 with 24. No more than that, for those in hand of a process that is killed are tried one by one.
 */
const aheadFactor = 24;
const mostAhead = 1_024;
/** Jobs that are fetched ahead for each short one that ran. */
const growth = 2;
/** Attempts that are looked at before the first decision. */
const samplesNeeded = 32;

export interface LaneOptions {
  /** Handlers that may run at once. */
  readonly concurrency: number;
  /** Told how many jobs the process should have in hand. */
  readonly onWanted: (jobs: number) => void;
}

/**
 * Lets as many handlers run as the queue's concurrency says, and no more; recording the end of an attempt needs no place.
 * While jobs are short, more of them are fetched ahead, so that one commit holds the ends of many: at concurrency 32 that
 * raised no-op jobs from 0.38 to 0.65 of bare BullMQ. Jobs that take longer are not taken from other processes.
 */
export class Lane {
  readonly #concurrency: number;
  readonly #mostWanted: number;
  readonly #onWanted: (jobs: number) => void;
  readonly #waiting: (() => void)[] = [];
  #free: number;
  #averageMs = 0;
  #averageRecordMs = 0;
  #samples = 0;
  #wanted: number;

  constructor({ concurrency, onWanted }: LaneOptions) {
    this.#concurrency = concurrency;
    this.#onWanted = onWanted;
    this.#free = concurrency;
    this.#wanted = concurrency;
    this.#mostWanted = Math.max(concurrency, Math.min(mostAhead, concurrency * aheadFactor));
  }

  /** Takes a place; undefined when there was one, else a promise of the next. First come, first served. */
  enter(): Promise<void> | undefined {
    if (this.#free > 0) {
      this.#free -= 1;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Gives the place to who has waited longest. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }

  /**
   * Learns how long a handler ran, and how long the record of its start took, in ms. Only a few more jobs are fetched ahead for each short one
   * that ran: BullMQ fetches those one after another, and begins none of them until it has all it may have.
   */
  learn(handlerMs: number, recordMs: number): void {
    this.#samples += 1;
    const share = 1 / Math.min(this.#samples, samplesNeeded);
    this.#averageMs += (handlerMs - this.#averageMs) * share;
    this.#averageRecordMs += (recordMs - this.#averageRecordMs) * share;
    const isShort = this.#averageMs <= shortJobMs && this.#averageRecordMs > longRecordMs;
    const isAhead = isShort && this.#samples >= samplesNeeded && this.#concurrency >= leastForAhead;
    const wanted = isAhead ? Math.min(this.#wanted + growth, this.#mostWanted) : this.#concurrency;
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.#onWanted(wanted);
  }
}
