import type { Filter, FilterTerm } from '../filters/index.ts';

type Counted = 'open' | 'resolved' | 'discarded';

/** A part of the letters that the tables of sums can tell apart. */
export interface Scope {
  /** Every letter is in one of the three. */
  readonly states: readonly Counted[];
  /** Conditions that all must hold. */
  readonly names: readonly { column: 'source' | 'queue_name'; values: readonly string[]; negated: boolean }[];
}

const counted: Readonly<Record<string, readonly Counted[]>> = {
  open: ['open'],
  closed: ['resolved', 'discarded'],
  resolved: ['resolved'],
  discarded: ['discarded'],
};

const columns = { queue: 'queue_name', source: 'source' } as const;

/** The part a filter selects; undefined when only the letters themselves can tell. */
export function scopeOf({ terms }: Filter): Scope | undefined {
  let states: readonly Counted[] = ['open', 'resolved', 'discarded'];
  const names: Scope['names'][number][] = [];
  for (const term of terms) {
    const values = textsOf(term);
    if (!values) return undefined;
    if (term.field === 'state') {
      const chosen = values.map((value) => counted[value]);
      if (chosen.some((each) => each === undefined)) return undefined;
      states = states.filter((state) => chosen.some((each) => each?.includes(state)) !== term.negated);
    } else if (term.field === 'queue' || term.field === 'source') {
      names.push({ column: columns[term.field], values, negated: term.negated });
    } else return undefined;
  }
  return { states, names };
}

function textsOf({ op, values }: FilterTerm): string[] | undefined {
  if (op !== '=') return undefined;
  const texts = values.flatMap((value) => (value.is === 'text' ? [value.text] : []));
  return texts.length === values.length ? texts : undefined;
}
