import { empty, join, prepared, type Queryable, raw, type Sql, sql } from '../postgres/index.ts';
import type { Cursor } from './cursor.ts';
import { armsOf, type Selection } from './selection.ts';

/** How the list is ordered, with the columns that make the order total. */
export const sorts = {
  '-failed_at': { columns: ['failed_at', 'id'], descending: true },
  failed_at: { columns: ['failed_at', 'id'], descending: false },
  // No index holds it: a selection larger than a scan of 2 s is refused.
  '-attempts': { columns: ['attempts', 'failed_at', 'id'], descending: true },
} as const;
export type Sort = keyof typeof sorts;

const types = { attempts: 'int', failed_at: 'timestamptz', id: 'uuid' } as const;

export interface StoredRow {
  id: string;
  queue_name: string;
  job_id: string | null;
  error_message: string;
  attempts: number;
  failed_at: Date;
  /** With all its digits: a Date has too few for a cursor. */
  failed_at_exact: string;
  resolved: boolean;
  state: 'pending' | 'snoozed' | 'retrying' | 'resolved' | 'discarded';
  source: 'queue' | 'stream';
  kind: string;
  error_type: string;
  cause: string;
  fingerprint: string;
  generation: number;
  created_at: Date;
  correlation_id: string;
  worker_version: string | null;
  assignee: string | null;
  snoozed_until: Date | null;
  notes_count: number;
  version: number;
}

export const rowColumns = sql`
  d.id, d.queue_name, d.job_id, d.error_message, d.attempts, d.failed_at,
  to_char(d.failed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as failed_at_exact,
  d.resolved, d.state, d.source, d.kind, d.error_type, d.cause, d.fingerprint, d.generation, d.created_at, d.correlation_id,
  d.worker_version, d.assignee, d.snoozed_until, d.notes_count, d.version`;

export interface PageOf {
  readonly arms: readonly Sql[];
  readonly sort: Sort;
  readonly limit: number;
  readonly offset?: number;
  /** Of few shapes, so that each connection can keep its plan. */
  readonly isPlain?: boolean;
  readonly cursor?: Pick<Cursor, 'position' | 'towards'> | undefined;
}

/**
 * One page. Keys come first, from an index alone where the selection allows, merged over its arms; rows are fetched for them only.
 * Limits are written out: a plan for an unknown limit would read a tenth of the table.
 */
export async function readPage(db: Queryable, page: PageOf): Promise<StoredRow[]> {
  const statement = pageStatement(page);
  const isCommon = page.isPlain === true && page.arms.length <= 2 && !page.offset;
  return (await db.query<StoredRow>(isCommon ? prepared('letters', statement) : statement)).rows;
}

/** `shown` is what is selected of `d` and, joined to it, `extra`. */
export function pageStatement(
  { arms, sort, limit, offset = 0, cursor }: PageOf,
  shown = rowColumns,
  extra = empty,
): Sql {
  const { columns, descending } = sorts[sort];
  const isBackwards = cursor?.towards === 'prev';
  const direction = raw(descending === isBackwards ? 'asc' : 'desc');
  const position = cursor && [after(cursor, columns, descending === isBackwards ? '>' : '<')];
  const keys = raw(columns.map((column) => `d.${column}`).join(', '));
  const order = (table: string) => join(columns.map((column) => sql`${raw(`${table}.${column}`)} ${direction}`));
  // Each arm is ordered and cut by itself: over a plain union Postgres would read all of them to sort them.
  const found = arms.map(
    (arm) => sql`
      (select ${keys} from ops.dead_letter_queue d where ${join([arm, ...(position ?? [])], ' and ')}
       order by ${order('d')} limit ${raw(String(offset + limit))})`,
  );
  return sql`
    select ${shown}
    from (select * from (${join(found, ' union all ')}) f order by ${order('f')} offset ${raw(String(offset))} limit ${raw(String(limit))}) k
    join ops.dead_letter_queue d on d.id = k.id ${extra}
    order by ${order('k')}`;
}

function after(
  { position }: Pick<Cursor, 'position'>,
  columns: readonly (keyof typeof types)[],
  comparison: '<' | '>',
): Sql {
  const values = columns.map((column, at) => sql`${position[at]}::${raw(types[column])}`);
  return sql`(${raw(columns.map((column) => `d.${column}`).join(', '))}) ${raw(comparison)} (${join(values)})`;
}

export function positionOf(row: StoredRow, sort: Sort): (string | number)[] {
  return sorts[sort].columns.map((column) => (column === 'failed_at' ? row.failed_at_exact : row[column]));
}

/** Counts up to `most`. An indexed selection follows the index of the list, which holds all it needs; for others any plan will do. */
export async function countUpTo(db: Queryable, selection: Selection, most: number): Promise<number> {
  const arms = armsOf(selection);
  const statement = countStatement(arms, most, selection.indexed);
  const isCommon = selection.isPlain && arms.length <= 2;
  const { rows } = await db.query<{ total: number }>(isCommon ? prepared('letter-count', statement) : statement);
  return rows[0]?.total ?? 0;
}

export function countStatement(arms: readonly Sql[], most: number, inOrder: boolean): Sql {
  const order = inOrder ? sql`order by d.failed_at desc, d.id desc` : sql``;
  const limit = raw(String(most));
  const found = arms.map((arm) => sql`(select 1 from ops.dead_letter_queue d where ${arm} ${order} limit ${limit})`);
  const merged =
    found.length === 1 ? join(found) : sql`(select 1 from (${join(found, ' union all ')}) f limit ${limit})`;
  return sql`select count(*)::int as total from ${merged} counted`;
}
