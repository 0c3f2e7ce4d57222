import type { Filter, FilterTerm } from '../filters/index.ts';

/** What the hours and the stock can both tell apart. */
export type Column = 'source' | 'queue_name' | 'fingerprint';

/** Conditions that all must hold. */
export type Scope = readonly { column: Column; values: readonly string[]; negated: boolean }[];

const columns: Readonly<Partial<Record<FilterTerm['field'], Column>>> = {
  queue: 'queue_name',
  source: 'source',
  fp: 'fingerprint',
};

/** The part of the sums that a filter selects; undefined when only the letters themselves can tell. */
export function scopeOf({ terms }: Filter): Scope | undefined {
  const scope = terms.map(conditionOf);
  return scope.every((condition) => condition !== undefined) ? scope : undefined;
}

function conditionOf({ field, op, negated, values }: FilterTerm): Scope[number] | undefined {
  const column = columns[field];
  const texts = values.flatMap((value) => (value.is === 'text' ? [value.text] : []));
  const isWhole = field !== 'fp' || texts.every((text) => /^v\d+_[0-9a-f]{16}$/.test(text));
  if (!column || op !== '=' || texts.length < values.length || !isWhole) return undefined;
  return { column, values: texts, negated };
}
