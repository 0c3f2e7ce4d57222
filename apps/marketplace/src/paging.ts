import { z } from 'zod';
import { refuse } from './errors.ts';

/** The shapes of a page stand apart, for contracts, which import nothing that only a server has. */
export { pageOf, pageQuery } from './page.ts';

export type CursorValue = string | number | null;

/** Where the last row of a page stands in the list's order. Opaque to callers; grants nothing, so it carries no signature. */
export function encodeCursor(values: readonly CursorValue[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}

/**
 * The values of a cursor; with `shape`, checked against it, so that they fit their columns. Undefined for the first page, which has none.
 * Refuses `validation_failed`.
 */
export function decodeCursor(text: string): CursorValue[];
export function decodeCursor<Shape extends z.ZodType>(text: string, shape: Shape): z.output<Shape>;
export function decodeCursor<Shape extends z.ZodType>(
  text: string | undefined,
  shape: Shape,
): z.output<Shape> | undefined;
export function decodeCursor(text: string | undefined, shape: z.ZodType = anyValues): unknown {
  if (text === undefined) return undefined;
  const read = shape.safeParse(parse(text));
  if (read.success) return read.data;
  throw refuse('validation_failed', {
    faults: [{ at: 'query.cursor', message: 'must be the next_cursor of this list' }],
  });
}

/** Cuts `rows`, read with a limit of `limit + 1`, into the items of one page and the cursor of the next. */
export function cutPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  { item, cursor }: { item: (row: Row) => Item; cursor: (row: Row) => readonly CursorValue[] },
) {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const next_cursor = rows.length > limit && last !== undefined ? encodeCursor(cursor(last)) : null;
  return { items: shown.map(item), pagination: { limit, next_cursor } };
}

const storable = (text: string) => text.isWellFormed() && !text.includes('\u0000');
const anyValues = z.array(z.union([z.string().refine(storable), z.number(), z.null()])).max(10);

/** Shape of the cursor of a list in order of time and id. The time is Postgres's own text: a `Date` would lose microseconds. */
export const momentCursor = z.tuple([
  z.string().regex(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d(:\d\d)?$/),
  z.uuid(),
]);

function parse(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
