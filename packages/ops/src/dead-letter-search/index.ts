export * from './contract.ts';
export { type Cursor, type Cursors, openCursors } from './cursor.ts';
export { letterVersion, readAttempts, type Viewing, viewLetter, viewWholePayload } from './entry.ts';
export { exportLimits, openExporter } from './export.ts';
export { countedUpTo, listLetters } from './list.ts';
export { maskJson } from './payload-mask.ts';
export { type FilterReader, readFilter, type RevealVerdict } from './read-filter.ts';
export { matching } from './selection.ts';
export { listViews, removeView, saveView } from './views.ts';
