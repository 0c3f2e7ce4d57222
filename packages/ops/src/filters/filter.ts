import type { FilterField, FilterOp } from './fields.ts';

/** One value of a term: a text in canonical form, `*`, `none`, or `me`. */
export type FilterValue =
  | { readonly is: 'text'; readonly text: string }
  | { readonly is: 'present' }
  | { readonly is: 'absent' }
  | { readonly is: 'me' };

/** One condition. Several values are alternatives. */
export interface FilterTerm {
  readonly negated: boolean;
  readonly field: FilterField;
  /** For `payload` only: names joined by dots. */
  readonly path?: string;
  readonly op: FilterOp;
  /** For `payload` only: compares no value in which something may be masked. It is no part of the text of a filter. */
  readonly underMask?: boolean;
  /**
   * Canonical texts: sizes in bytes, times in ISO 8601 (UTC), durations in their largest whole unit, ids in lower case.
   * At least one; exactly one for an ordering operator.
   */
  readonly values: readonly FilterValue[];
}

/** A selection of dead letters: every term must hold. Terms and values are sorted and without repeats. */
export interface Filter {
  readonly terms: readonly FilterTerm[];
}

/** Selects everything. */
export const emptyFilter: Filter = { terms: [] };

/** A fault in the text of a filter. */
export class FilterError extends Error {
  override name = 'FilterError';
  /** Position in the text, from 0. */
  readonly at: number;
  readonly field: string | undefined;
  /** A text that would be right in its place. */
  readonly did_you_mean: string | undefined;

  constructor(message: string, fault: { at: number; field?: string | undefined; did_you_mean?: string | undefined }) {
    super(message);
    this.at = fault.at;
    this.field = fault.field;
    this.did_you_mean = fault.did_you_mean;
  }
}
