import type { Database, Queryable } from '../postgres/index.ts';

/** What breaks an invariant, by ids, numbers and fixed words: it is shown to whoever may read queues. */
export type BreachRow = Readonly<Record<string, unknown>>;

/** What must always be true. */
export interface InvariantText {
  /** Unique: `I1`, `orders_are_paid`. */
  readonly name: string;
  /** What is always true, in one sentence. */
  readonly title: string;
  /** What keeps it true: a constraint, a lock, a statement. */
  readonly enforcedBy: string;
  /** What to do first about a row that breaks it. Default: look at the row. */
  readonly next?: string;
}

/** An invariant that Postgres alone can answer. */
export interface Invariant extends InvariantText {
  /**
   * One read-only statement, without a semicolon, that answers the rows which break it: none, ever. Columns are ids, numbers and fixed
   * words, never personal data. It may use `$1`, a timestamptz: then only what changed since need be looked at, and everything where it
   * is `-infinity`.
   */
  readonly sql: string;
}

export interface Found {
  /** The first {@link mostRows}. */
  readonly rows: readonly BreachRow[];
  /** All of them, up to {@link mostCounted}; one more stands for "more". */
  readonly count: number;
}

/** What was looked at: since when, null for everything. `signal` ends it. */
export interface Scope {
  readonly since: Date | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Something that can be asked whether an invariant holds. Throws {@link NotChecked}, or what its source threw, where it cannot tell. */
export interface Check extends InvariantText {
  /** Whether `since` narrows what it looks at. */
  readonly isWindowed: boolean;
  readonly find: (scope: Scope) => Promise<Found>;
}

/** It could not be asked: that is no answer, and so never "it holds". */
export class NotChecked extends Error {
  override name = 'NotChecked';
}

export const mostRows = 20;
export const mostCounted = 10_000;

/** The rows that break an invariant, in the snapshot of `db`. Default of `since`: everything. */
export async function findBreaches(
  db: Queryable,
  { sql }: Pick<Invariant, 'sql'>,
  since?: Date | null,
): Promise<Found> {
  const text = `
    select to_jsonb(b) as row, (count(*) over ())::int as total
    from (select * from (${sql}) found limit ${mostCounted + 1}) b limit ${mostRows}`;
  const values = isWindowed(sql) ? [since?.toISOString() ?? '-infinity'] : [];
  const { rows } = await db.query<{ row: BreachRow; total: number }>({ name: '', text, values });
  return { rows: rows.map(({ row }) => row), count: rows[0]?.total ?? 0 };
}

const isWindowed = (sql: string): boolean => /\$1\b/.test(sql);

/** Asks in a transaction of its own, on one snapshot, alone on its core: what is looked at must not notice. */
export function checkOf(db: Database, invariant: Invariant): Check {
  return {
    ...invariant,
    isWindowed: isWindowed(invariant.sql),
    find: ({ since, timeoutMs }) =>
      db.transaction(
        async (tx) => {
          await tx.query({ name: '', text: modest, values: [] });
          return findBreaches(tx, invariant, since);
        },
        { readOnly: true, isolation: 'repeatable read', statementTimeoutMs: Math.max(1, timeoutMs) },
      ),
  };
}

const modest = `select set_config('jit', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)`;
