import { absolute, type Filter, nearest, printFilter } from '../filters/index.ts';
import type { Database, Queryable } from '../postgres/index.ts';
import type { QueueRegistry } from '../queues/index.ts';
import { refuse } from '../refusals/index.ts';
import type { LetterList, LetterListQuery, LetterRow } from './contract.ts';
import type { Cursor, Cursors } from './cursor.ts';
import { countUpTo, positionOf, readPage, type StoredRow } from './list-queries.ts';
import { type FilterReader, readFilter } from './read-filter.ts';
import { armsOf, completed, searchBound, type Selection, selectionOf } from './selection.ts';
import { withinTime } from './slow.ts';
import type { Selecting } from './term-sql.ts';

export interface ListDeps extends Selecting, FilterReader {
  readonly db: Database;
  readonly cursors: Cursors;
}

/** Totals are exact up to here, and pages end here. */
export const countedUpTo = 10_000;

/**
 * One page of the dead letters a filter selects, newest failure first unless `sort` says otherwise.
 * Throws refusal `filter_invalid`, `missing_permission`, `filter_too_slow`, `cursor_invalid` or `page_too_deep`.
 */
export async function listLetters(deps: ListDeps, query: LetterListQuery, now: Date): Promise<LetterList> {
  const { page = 1, limit, sort } = query;
  if ((page - 1) * limit >= countedUpTo) throw refuse('page_too_deep', { rows: countedUpTo, hint: 'use next_cursor' });
  if (query.cursor !== undefined && query.page !== undefined) {
    throw refuse('cursor_invalid', { why: 'a request has a page or a cursor, not both' });
  }
  const filter = readFilter(query, deps.registry, deps);
  const text = printFilter(filter);
  const scope = { sort, filter: text };
  const cursor = query.cursor === undefined ? undefined : await deps.cursors.read(query.cursor, scope);
  const begun = cursor?.begun ?? now.toISOString();
  const selection = selectionOf(await completed(deps.db, absolute(filter, new Date(begun))), deps);
  const inParallel = selection.indexed && sort !== '-attempts';
  const found = await withinTime(deps.db, inParallel, (db) =>
    read(db, selection, { page, limit, sort, cursor, inParallel }),
  );
  const signed = (row: StoredRow | undefined, towards: Cursor['towards']) =>
    row ? deps.cursors.sign({ position: positionOf(row, sort), towards, begun }, scope) : null;
  return {
    entries: found.rows.map(rowOf),
    pagination: {
      ...(cursor ? {} : { page }),
      limit,
      ...found.total,
      next_cursor: await signed(found.hasNext ? found.rows.at(-1) : undefined, 'next'),
      prev_cursor: await signed(found.hasPrevious ? found.rows[0] : undefined, 'prev'),
    },
    filter: text,
    ...(found.search && { search: found.search }),
    ...warningsOf(filter, deps.registry),
  };
}

interface Wanted {
  readonly page: number;
  readonly limit: number;
  readonly sort: LetterListQuery['sort'];
  readonly cursor: Cursor | undefined;
  /** On connections of their own; a transaction has one. */
  readonly inParallel: boolean;
}

async function read(db: Queryable, selection: Selection, wanted: Wanted) {
  const { page, limit, cursor, inParallel } = wanted;
  const search = await searchBound(db, selection);
  const count = () => (cursor ? undefined : countUpTo(db, selection, countedUpTo + 1));
  const [rows, counted] = inParallel
    ? await Promise.all([readRows(db, selection, wanted), count()])
    : [await readRows(db, selection, wanted), await count()];
  const hasMore = rows.length > limit;
  const shown = rows.slice(0, limit);
  if (cursor?.towards === 'prev') {
    return { rows: shown.reverse(), search, total: {}, hasNext: true, hasPrevious: hasMore };
  }
  const total = counted === undefined ? {} : totalOf(counted, limit);
  return { rows: shown, search, total, hasNext: hasMore, hasPrevious: cursor !== undefined || page > 1 };
}

function readRows(db: Queryable, selection: Selection, { page, limit, sort, cursor }: Wanted) {
  const { isPlain } = selection;
  return readPage(db, { arms: armsOf(selection), sort, limit: limit + 1, offset: (page - 1) * limit, cursor, isPlain });
}

function totalOf(counted: number, limit: number) {
  const total = Math.min(counted, countedUpTo);
  return {
    total,
    total_pages: Math.ceil(total / limit),
    ...(counted > countedUpTo && { total_is_minimum: true as const }),
  };
}

/** What a list shows of a letter; further columns of `row` are left out. */
export function rowOf(row: StoredRow): LetterRow {
  const { id, queue_name, job_id, error_message, attempts, resolved, state, source, kind, error_type, cause } = row;
  const { fingerprint, correlation_id, worker_version, assignee, notes_count, version } = row;
  return {
    id,
    queue_name,
    job_id,
    error_message,
    attempts,
    failed_at: row.failed_at.toISOString(),
    resolved,
    state,
    source,
    kind,
    error_type,
    cause,
    fingerprint,
    retries: row.generation,
    captured_at: row.created_at.toISOString(),
    correlation_id,
    worker_version,
    assignee,
    snooze: state === 'snoozed' ? { until: row.snoozed_until?.toISOString() ?? null } : null,
    notes_count,
    version,
  };
}

function warningsOf(filter: Filter, registry: QueueRegistry): Pick<LetterList, 'warnings'> {
  const names = filter.terms
    .filter(({ field }) => field === 'queue')
    .flatMap(({ values }) => values.flatMap((value) => (value.is === 'text' ? [value.text] : [])))
    .filter((name) => registry.resolve(name) === undefined && name !== 'identity' && !name.endsWith('.dlq'));
  if (names.length === 0) return {};
  const known = registry.definitions.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
  const closest = (name: string) => nearest(name, known) ?? known.find((other) => other.includes(name));
  return {
    warnings: names.map((name) => {
      const near = closest(name);
      return {
        code: 'unknown_queue' as const,
        name,
        nearest: near === undefined ? null : (registry.resolve(near) ?? near),
      };
    }),
  };
}
