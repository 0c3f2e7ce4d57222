import type { Filter, FilterTerm, FilterValue } from './filter.ts';

/** The canonical text of a filter. `parseFilter` of it gives the same filter. */
export function printFilter(filter: Filter): string {
  return filter.terms.map(printTerm).join(' ');
}

/** Brings terms into canonical order, without repeats. */
export function filterOf(terms: readonly FilterTerm[]): Filter {
  const byText = new Map(terms.map((term) => ordered(term)).map((term) => [printTerm(term), term]));
  return { terms: [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, term]) => term) };
}

/** The filter with one more condition. */
export function narrow(filter: Filter, term: FilterTerm): Filter {
  return filterOf([...filter.terms, term]);
}

function ordered(term: FilterTerm): FilterTerm {
  const byText = new Map(term.values.map((value) => [printValue(term, value), value]));
  return { ...term, values: [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value) };
}

function printTerm(term: FilterTerm): string {
  const { negated, field, path, op, values } = term;
  const name = path === undefined ? field : `${field}.${path}`;
  return `${negated ? '-' : ''}${name}:${op === '=' ? '' : op}${values.map((value) => printValue(term, value)).join(',')}`;
}

function printValue({ field }: FilterTerm, value: FilterValue): string {
  if (value.is === 'present') return '*';
  if (value.is === 'absent') return 'none';
  if (value.is === 'me') return 'me';
  return isPlain(value.text) && !(field === 'assignee' && value.text === 'me') ? value.text : quote(value.text);
}

function isPlain(text: string): boolean {
  return /^[^\s,"<>~=*][^\s,]*$/.test(text) && text !== 'none';
}

export function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
