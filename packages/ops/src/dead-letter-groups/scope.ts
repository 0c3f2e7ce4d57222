import type { Filter, FilterTerm } from '../filters/index.ts';

type Counted = 'open' | 'resolved' | 'discarded';

/** A part of the letters that the tables of sums can tell apart. */
export interface Scope {
  /** Every letter is in one of the three. */
  readonly states: readonly Counted[];
  /** Conditions that all must hold. */
  readonly names: readonly { column: 'source' | 'queue_name'; values: readonly string[]; negated: boolean }[];
}

/** Letters that died last after this moment, or at it: an index of fingerprints counts them without touching the letters. */
export interface Recent {
  readonly since: string;
  readonly op: '>' | '>=';
  /** True for the closed ones alone, false for the open ones. */
  readonly resolved: readonly boolean[];
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

/** The recent letters a filter selects by one begin and by their half; undefined for a filter that asks for anything else. */
export function recentOf({ terms }: Filter): Recent | undefined {
  const isBegin = ({ field, op, negated }: FilterTerm) => field === 'failed' && !negated && (op === '>' || op === '>=');
  const [begin, ...others] = terms.filter(isBegin);
  const value = begin?.values[0];
  if (value?.is !== 'text' || others.length > 0) return undefined;
  const scope = scopeOf({ terms: terms.filter((term) => term !== begin) });
  if (!scope || scope.names.length > 0) return undefined;
  const resolved = { '': [], open: [false], 'resolved discarded': [true], 'open resolved discarded': [false, true] };
  const halves = resolved[scope.states.join(' ') as keyof typeof resolved];
  return halves && { since: value.text, op: begin?.op === '>' ? '>' : '>=', resolved: halves };
}

function textsOf({ op, values }: FilterTerm): string[] | undefined {
  if (op !== '=') return undefined;
  const texts = values.flatMap((value) => (value.is === 'text' ? [value.text] : []));
  return texts.length === values.length ? texts : undefined;
}
