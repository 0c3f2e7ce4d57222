import { Heap } from './heap.ts';

/** Somebody in the order of a level. */
export interface Standing {
  readonly id: string;
  readonly areas: readonly string[];
  vt: number;
  status: string;
}

interface Entry<S> {
  readonly vt: number;
  readonly standing: S;
}

/**
 * The subscriptions of one level as a sale walks them: by virtual time and id, those of the lead's areas only. A heap for each area, in
 * which an entry is void once its subscription has moved on or is not active.
 */
export class FairOrder<S extends Standing> {
  readonly #heaps = new Map<string, Heap<Entry<S>>>();

  /** Puts it where it stands now. Call it again after each change of its time, and when it becomes active. */
  enter(standing: S): void {
    for (const area of standing.areas) {
      let heap = this.#heaps.get(area);
      if (!heap) this.#heaps.set(area, (heap = new Heap(isBefore)));
      heap.push({ vt: standing.vt, standing });
    }
  }

  /** The first `count` that `fits`, in their order. */
  first(areas: readonly string[], count: number, fits: (standing: S) => boolean): { found: S[]; examined: number } {
    const heaps = areas.flatMap((area) => this.#heaps.get(area) ?? []);
    const seen = new Set<S>();
    const taken: { heap: Heap<Entry<S>>; entry: Entry<S> }[] = [];
    const found: S[] = [];
    while (found.length < count) {
      const heap = nextOf(heaps);
      const entry = heap?.pop();
      if (!heap || !entry) break;
      const { standing } = entry;
      if (standing.status !== 'active' || standing.vt !== entry.vt) continue;
      if (seen.has(standing)) {
        // Stood there twice: paused and resumed, or in two areas of the lead.
        if (taken.some((one) => one.heap === heap && one.entry.standing === standing)) continue;
      } else {
        seen.add(standing);
        if (fits(standing)) found.push(standing);
      }
      taken.push({ heap, entry });
    }
    for (const { heap, entry } of taken) heap.push(entry);
    return { found, examined: seen.size };
  }
}

function isBefore<S extends Standing>(one: Entry<S>, other: Entry<S>): boolean {
  return one.vt < other.vt || (one.vt === other.vt && one.standing.id < other.standing.id);
}

function nextOf<S extends Standing>(heaps: readonly Heap<Entry<S>>[]): Heap<Entry<S>> | undefined {
  let next: Heap<Entry<S>> | undefined;
  for (const heap of heaps) {
    const first = heap.first;
    if (first && (!next?.first || isBefore(first, next.first))) next = heap;
  }
  return next;
}
