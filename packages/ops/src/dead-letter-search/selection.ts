import type { Filter, FilterTerm } from '../filters/index.ts';
import { join, type Queryable, type Sql, sql } from '../postgres/index.ts';
import { fingerprintsFrom, isFingerprintStart, queueNames, type Selecting, termSql } from './term-sql.ts';

const openStates = ['pending', 'snoozed', 'retrying'];
const closedStates = ['resolved', 'discarded'];
const allStates = [...openStates, ...closedStates];

/** A search looks at every open letter, and at this many of the closed ones that failed last. */
export const searchedClosed = 100_000;

/** A filter, taken apart into what an index can follow and what cannot. */
export interface Selection {
  readonly states: readonly string[];
  /** Undefined for letters of any queue. */
  readonly queues: readonly string[] | undefined;
  readonly fingerprints: readonly string[] | undefined;
  readonly others: readonly Sql[];
  /** Looks into messages or payloads, which no index holds. */
  readonly searches: boolean;
  /** An index leads to the letters in their order, so that the cost does not grow with the table. */
  readonly indexed: boolean;
  /** Names queues, fingerprints and halves alone: its statements have few shapes. */
  readonly isPlain: boolean;
}

/** Fields whose conditions an index narrows in place. */
const narrowing: readonly string[] = ['state', 'queue', 'fp', 'id', 'job', 'correlation', 'failed', 'age'];

export function selectionOf(filter: Filter, selecting: Selecting): Selection {
  const { terms } = filter;
  const queueTerms = terms.filter((term) => term.field === 'queue' && isListed(term));
  const fingerprintTerms = terms.filter((term) => term.field === 'fp' && isListed(term));
  const [queues, ...moreQueues] = queueTerms.map(({ values }) => queueNames(values, selecting.registry));
  const [fingerprints, ...moreFingerprints] = fingerprintTerms.map(({ values }) => textsOf(values));
  const listed = new Set([...queueTerms, ...fingerprintTerms]);
  const states = statesOf(terms);
  const others = terms.filter((term) => term.field !== 'state' && !listed.has(term));
  const indexed =
    terms.every(({ field, negated }) => narrowing.includes(field) && (!negated || field === 'state')) &&
    sideOf(states) !== 'part' &&
    (sideOf(states) !== 'closed' || queueTerms.length === 0);
  return {
    states,
    queues: queues && intersection(queues, moreQueues),
    fingerprints: fingerprints && intersection(fingerprints, moreFingerprints),
    others: others.map((term) => termSql(term, selecting)),
    searches: terms.some(({ field }) => field === 'message' || field === 'payload'),
    indexed,
    isPlain: indexed && others.length === 0,
  };
}

/** Names its values one by one. */
function isListed({ negated, values, field }: FilterTerm): boolean {
  return (
    !negated && values.every((value) => value.is === 'text' && !(field === 'fp' && isFingerprintStart(value.text)))
  );
}

function textsOf(values: FilterTerm['values']): string[] {
  return values.flatMap((value) => (value.is === 'text' ? [value.text] : []));
}

function intersection(first: readonly string[], more: readonly (readonly string[])[]): string[] {
  return [...new Set(first)].filter((value) => more.every((list) => list.includes(value)));
}

function statesOf(terms: readonly FilterTerm[]): string[] {
  return terms
    .filter(({ field }) => field === 'state')
    .reduce((left, { negated, values }) => {
      const named = textsOf(values).flatMap(statesNamed);
      return left.filter((state) => named.includes(state) !== negated);
    }, allStates);
}

function statesNamed(word: string): readonly string[] {
  if (word === 'open') return openStates;
  return word === 'closed' ? closedStates : [word];
}

/** Which half of the letters the states are: all of it, or a part of one or of both. */
export function sideOf(states: readonly string[]): 'all' | 'open' | 'closed' | 'part' {
  if (states.length === allStates.length) return 'all';
  const isWhole = (half: string[]) => states.length === half.length && half.every((state) => states.includes(state));
  if (isWhole(openStates)) return 'open';
  return isWhole(closedStates) ? 'closed' : 'part';
}

/**
 * A filter as a condition over `ops.dead_letter_queue d`: `select … from ops.dead_letter_queue d where ${matching(filter, …)}`.
 * A filter that searches holds its bound: open letters, and the 100,000 closed ones that failed last.
 */
export function matching(filter: Filter, selecting: Selecting): Sql {
  const { queues, fingerprints, ...selection } = selectionOf(filter, selecting);
  return every([
    ...conditions(selection),
    ...(queues ? [sql`d.queue_name = any(${queues}::text[])`] : []),
    ...(fingerprints ? [sql`d.fingerprint = any(${fingerprints}::text[])`] : []),
  ]);
}

/** Most branches that a list is merged from. */
const mostArms = 16;

/**
 * The selection as conditions that exclude each other, each of which an index follows in order of `failed_at`: one for each queue,
 * fingerprint and half. Lists merge them. Falls back to one condition where there would be too many.
 */
export function armsOf(selection: Selection): Sql[] {
  const { queues, fingerprints } = selection;
  const queueArms = queues?.map((queue) => [sql`d.queue_name = ${queue}`]) ?? [[]];
  const fingerprintArms = fingerprints?.map((fingerprint) => [sql`d.fingerprint = ${fingerprint}`]) ?? [[]];
  const isSplit = fingerprints !== undefined && sideOf(selection.states) === 'all';
  const halves = isSplit ? [[sql`not d.resolved`], [sql`d.resolved`]] : [[]];
  const count = queueArms.length * fingerprintArms.length * halves.length;
  const rest = conditions(selection);
  if (count === 0) return [sql`false`];
  if (count > mostArms) {
    const lists = [
      ...(queues ? [sql`d.queue_name = any(${queues}::text[])`] : []),
      ...(fingerprints ? [sql`d.fingerprint = any(${fingerprints}::text[])`] : []),
    ];
    return [every([...rest, ...lists])];
  }
  return queueArms.flatMap((queue) =>
    fingerprintArms.flatMap((fingerprint) => halves.map((half) => every([...queue, ...fingerprint, ...half, ...rest]))),
  );
}

function conditions({ states, others, searches }: Pick<Selection, 'states' | 'others' | 'searches'>): Sql[] {
  return [...stateConditions(states), ...others, ...(searches && reachesClosed(states) ? [withinBound] : [])];
}

function stateConditions(states: readonly string[]): Sql[] {
  if (states.length === 0) return [sql`false`];
  const side = sideOf(states);
  if (side === 'all') return [];
  const isOpen = states.every((state) => openStates.includes(state));
  const isClosed = states.every((state) => closedStates.includes(state));
  return [
    ...(isOpen ? [sql`not d.resolved`] : []),
    ...(isClosed ? [sql`d.resolved`] : []),
    ...(side === 'part' ? [sql`d.state = any(${states}::text[])`] : []),
  ];
}

function reachesClosed(states: readonly string[]): boolean {
  return states.some((state) => closedStates.includes(state));
}

const oldestSearched = sql`
  select c.failed_at from ops.dead_letter_queue c where c.resolved
  order by c.failed_at desc, c.id desc offset ${searchedClosed - 1} limit 1`;

const withinBound = sql`(not d.resolved or d.failed_at >= coalesce((${oldestSearched}), '-infinity'))`;

/** How far a search looks; undefined for a filter that does not search. */
export async function searchBound(
  db: Queryable,
  { searches, states }: Selection,
): Promise<{ bounded: boolean; oldest_searched: string | null } | undefined> {
  if (!searches) return undefined;
  if (!reachesClosed(states)) return { bounded: false, oldest_searched: null };
  const { rows } = await db.query<{ failed_at: Date }>(oldestSearched);
  return { bounded: rows.length > 0, oldest_searched: rows[0]?.failed_at.toISOString() ?? null };
}

function every(all: readonly Sql[]): Sql {
  return all.length === 0 ? sql`true` : join([...all], ' and ');
}

/** The filter with the starts of fingerprints completed, so that an index leads to them. What nobody has stays as it is. */
export async function completed(db: Queryable, filter: Filter): Promise<Filter> {
  const isStart = (term: FilterTerm) =>
    term.field === 'fp' && !term.negated && textsOf(term.values).some(isFingerprintStart);
  if (!filter.terms.some(isStart)) return filter;
  const terms = filter.terms.map(async (term) =>
    isStart(term)
      ? { ...term, values: (await Promise.all(textsOf(term.values).map((text) => complete(db, text)))).flat() }
      : term,
  );
  return { terms: await Promise.all(terms) };
}

async function complete(db: Queryable, text: string): Promise<FilterTerm['values']> {
  if (!isFingerprintStart(text)) return [{ is: 'text', text }];
  const { rows } = await db.query<{ fingerprint: string }>(sql`${fingerprintsFrom(text)} limit 20`);
  if (rows.length === 0 || rows.length === 20) return [{ is: 'text', text }];
  return rows.map(({ fingerprint }) => ({ is: 'text', text: fingerprint }));
}
