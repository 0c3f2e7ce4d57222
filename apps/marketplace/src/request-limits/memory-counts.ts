import type { Quota } from './quota.ts';

/** A quota with the name under which this subject is counted. */
export interface Charge extends Quota {
  readonly key: string;
}

/** Counts of this process alone, for the time without Redis. Holds at most `most` subjects: the one that began first goes first. */
export class MemoryCounts {
  readonly #windows = new Map<string, { count: number; endsAt: number }>();
  readonly #most: number;

  constructor(most = 20_000) {
    this.#most = most;
  }

  get size(): number {
    return this.#windows.size;
  }

  /** As `take.lua`: the place of the charge that this request is beyond (from 1) and the ms until its window ends, else zeros. */
  take(charges: readonly Charge[], now: number): readonly [number, number] {
    for (const [at, { key, limit, windowMs }] of charges.entries()) {
      const window = this.#windowOf(key, windowMs, now);
      window.count += 1;
      if (window.count > limit) return [at + 1, window.endsAt - now];
    }
    return [0, 0];
  }

  #windowOf(key: string, windowMs: number, now: number): { count: number; endsAt: number } {
    const known = this.#windows.get(key);
    if (known && known.endsAt > now) return known;
    this.#windows.delete(key);
    if (this.#windows.size >= this.#most) this.#forgetFirst();
    const window = { count: 0, endsAt: now + windowMs };
    this.#windows.set(key, window);
    return window;
  }

  #forgetFirst(): void {
    for (const key of this.#windows.keys()) {
      this.#windows.delete(key);
      return;
    }
  }
}
