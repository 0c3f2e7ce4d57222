import { hash } from 'node:crypto';

/** Numbers that follow from a seed alone, the same on every machine. */
export interface Random {
  /** At least 0, below 1. */
  next(): number;
  /** A whole number from 0 to `most` - 1. */
  below(most: number): number;
  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number;
  chance(probability: number): boolean;
  /** Throws a RangeError for an empty list. */
  pick<T>(items: readonly T[]): T;
  shuffled<T>(items: readonly T[]): T[];
  /** From the normal distribution of mean 0 and deviation 1. */
  normal(): number;
  /** Half of the values lie below `median`; about a sixth above `median * e ** sigma`. */
  logNormal(median: number, sigma: number): number;
  /** The wait for something that comes once in `mean` on average. */
  exponential(mean: number): number;
}

/**
 * The numbers of one thing: of its seed, its kind and its index only. So a new field or a new kind of thing leaves all others as they
 * are. Give what may grow apart a kind of its own (`lead.person`, `lead.path`).
 */
export function streamOf(seed: number, kind: string, index: number | string = 0): Random {
  return new Stream(`${seed}/${kind}/${index}`);
}

/** The id of one thing, on the same terms as {@link streamOf}: a UUID of version 4 by its form. */
export function idOf(seed: number, kind: string, index: number | string = 0): string {
  const hex = hash('md5', `${seed}/${kind}/${index}`);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** sfc32, begun from a hash of the text. */
class Stream implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(text: string) {
    [this.#a, this.#b, this.#c] = hashOf(text);
    for (let warm = 0; warm < 12; warm += 1) this.next();
  }

  next() {
    const mixed = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + mixed) | 0;
    return (mixed >>> 0) / 2 ** 32;
  }

  below(most: number) {
    return Math.floor(this.next() * most);
  }

  between(least: number, most: number) {
    return least + this.below(most - least + 1);
  }

  chance(probability: number) {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('nothing to pick from');
    return items[this.below(items.length)] as T;
  }

  shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, at: this.next() }))
      .sort((one, other) => one.at - other.at)
      .map(({ item }) => item);
  }

  normal() {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  logNormal(median: number, sigma: number) {
    return median * Math.exp(sigma * this.normal());
  }

  exponential(mean: number) {
    return -mean * Math.log(1 - this.next());
  }
}

/** Three words, of FNV-like rounds with other factors: enough to tell streams apart, and a tenth of the time of a digest. */
function hashOf(text: string): [number, number, number] {
  let [a, b, c] = [0x9e3779b9, 0x243f6a88, 0xb7e15162];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b) ^ (a >>> 15);
    c = Math.imul(c ^ code, 0xc2b2ae35) ^ (b >>> 13);
  }
  return [a, b, c];
}
