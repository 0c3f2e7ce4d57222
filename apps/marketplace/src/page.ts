import { z } from 'zod';

/** The query of every list; extend it with the list's own filters. */
export const pageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(1024).optional(),
});

export const pagination = z.strictObject({ limit: z.int(), next_cursor: z.string().nullable() });

/** The answer of every list. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.strictObject({ items: z.array(item), pagination });
}
