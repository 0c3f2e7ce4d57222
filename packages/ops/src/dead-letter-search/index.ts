export { type Cursor, type Cursors, type CursorScope, openCursors } from './cursor.ts';
export { type FilterTexts, readFilter } from './read-filter.ts';
export { matching, searchBound, searchedClosed } from './selection.ts';
export type { Selecting } from './term-sql.ts';
