import type { FilterOp } from './fields.ts';
import type { Filter, FilterTerm } from './filter.ts';
import { filterOf } from './print.ts';
import { durationSeconds } from './values.ts';

/** Older than an hour is: failed before an hour ago. */
const mirrored: Readonly<Partial<Record<FilterOp, FilterOp>>> = { '>': '<', '>=': '<=', '<': '>', '<=': '>=' };

/** The filter with its relative times (`age:>1h`) as moments (`failed:<2026-01-02T13:00:00.000Z`). */
export function absolute(filter: Filter, now: Date): Filter {
  return filterOf(filter.terms.map((term) => (term.field === 'age' ? moment(term, now) : term)));
}

function moment(term: FilterTerm, now: Date): FilterTerm {
  const values = term.values.map((value) =>
    value.is === 'text'
      ? { is: 'text' as const, text: new Date(now.getTime() - durationSeconds(value.text) * 1_000).toISOString() }
      : value,
  );
  return { ...term, field: 'failed', op: mirrored[term.op] ?? term.op, values };
}
