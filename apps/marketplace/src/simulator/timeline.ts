import { Heap } from './heap.ts';

interface Moment {
  readonly at: number;
  /** What was planned first happens first, of one moment. */
  readonly order: number;
  readonly happen: () => void;
}

/** Things that happen in the order of their times, up to an end. */
export class Timeline {
  readonly #moments = new Heap<Moment>(
    (one, other) => one.at < other.at || (one.at === other.at && one.order < other.order),
  );
  readonly #end: number;
  #planned = 0;
  #at = Number.NEGATIVE_INFINITY;

  constructor(end: number) {
    this.#end = end;
  }

  /** False, and nothing planned, when it lies behind the end. Never before what happens now. */
  plan(at: number, happen: () => void): boolean {
    if (at > this.#end) return false;
    this.#planned += 1;
    this.#moments.push({ at: Math.max(at, this.#at), order: this.#planned, happen });
    return true;
  }

  /** Lets all of it happen up to `until`, what is planned meanwhile included. */
  runUntil(until: number): void {
    for (let next = this.#moments.first; next && next.at <= until; next = this.#moments.first) {
      this.#moments.pop();
      this.#at = next.at;
      next.happen();
    }
  }
}
