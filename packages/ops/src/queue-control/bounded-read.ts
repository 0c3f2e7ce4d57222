import { type Database, sql, type Tx } from '../postgres/index.ts';

/**
 * Reads that touch a bounded number of rows, in the order of an index. A planner that guesses how many rows a condition leaves may
 * read or sort a whole table for one page; here each of its other ways is the slower one. Without them its costs are no measure for
 * compilation either.
 */
export function boundedRead<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  return db.transaction(
    async (tx) => {
      await tx.query(sql`
        select set_config(name, 'off', true)
        from unnest(array['enable_seqscan', 'enable_sort', 'enable_hashjoin', 'enable_mergejoin', 'jit']) as s(name)`);
      return work(tx);
    },
    { readOnly: true },
  );
}
