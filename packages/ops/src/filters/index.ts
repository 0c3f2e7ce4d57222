export { absolute } from './absolute.ts';
export { type FieldRule, type FilterField, filterFields, type FilterOp } from './fields.ts';
export { emptyFilter, type Filter, FilterError, type FilterTerm, type FilterValue } from './filter.ts';
export { nearest } from './nearest.ts';
export { filterLimits, parseFilter, type ParseOptions } from './parse.ts';
export { filterOf, narrow, printFilter } from './print.ts';
export { durationSeconds } from './values.ts';
export { compareVersions, partsOf } from './versions.ts';
