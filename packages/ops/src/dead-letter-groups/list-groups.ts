import type { z } from 'zod';
import type { Actor } from '../audit/index.ts';
import { type Cursor, type Cursors, type FilterReader, matching, readFilter } from '../dead-letter-search/index.ts';
import { absolute, type Filter, printFilter } from '../filters/index.ts';
import { type Database, prepared, type Sql } from '../postgres/index.ts';
import type { QueueRegistry } from '../queues/index.ts';
import { refuse } from '../refusals/index.ts';
import type { deadLetterGroups, GroupSort } from './contract.ts';
import { type GroupRow, groupsByLetters, groupsByRecent, groupsBySums, type PageRequest } from './queries.ts';
import { groupsOf } from './read-groups.ts';
import { recentOf, scopeOf } from './scope.ts';

export interface GroupsDeps {
  readonly db: Database;
  readonly registry: QueueRegistry;
  readonly cursors: Cursors;
}

export interface GroupsRequest extends FilterReader {
  /** Filter text; counts obey it. Default: everything. */
  readonly q?: string | undefined;
  /** Default `-last_seen`. */
  readonly sort?: GroupSort | undefined;
  /** 1–200, default 50. */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly actor: Actor;
}

export type GroupList = z.infer<typeof deadLetterGroups>;

/** Longest aggregation of letters, in ms. */
const slowFilterMs = 2_000;

/**
 * One page of groups. A filter of states, queues and sources is answered by sums alone, one of states and a begin from an index; any
 * other counts the letters it selects.
 * Throws refusal `filter_invalid`, `missing_permission`, `cursor_invalid`, or `filter_too_slow` when the count takes longer than 2 s.
 */
export async function listGroups(deps: GroupsDeps, request: GroupsRequest): Promise<GroupList> {
  const { db, registry, cursors } = deps;
  const { sort = '-last_seen', limit = 50, actor } = request;
  const filter = readFilter({ q: request.q }, registry, request);
  const list = { sort, filter: `groups ${printFilter(filter)}` };
  const cursor = request.cursor === undefined ? undefined : await cursors.read(request.cursor, list);
  const begun = cursor?.begun ?? new Date().toISOString();
  const fixed = absolute(filter, new Date(begun));
  const rows = await readRows(db, fixed, matching(fixed, { registry, actor }), { sort, limit, cursor });
  const shown = rows.slice(0, limit);
  const isMore = rows.length > limit;
  const backwards = cursor?.towards === 'prev';
  if (backwards) shown.reverse();
  const sign = async (row: GroupRow | undefined, towards: Cursor['towards'], exists: boolean) =>
    row && exists ? cursors.sign({ position: [row.position, row.fingerprint], towards, begun }, list) : null;
  return {
    groups: await groupsOf(db, shown),
    pagination: {
      limit,
      next_cursor: await sign(shown.at(-1), 'next', backwards || isMore),
      prev_cursor: await sign(shown[0], 'prev', backwards ? isMore : cursor !== undefined),
    },
    filter: printFilter(filter),
  };
}

async function readRows(db: Database, filter: Filter, condition: Sql, page: PageRequest): Promise<GroupRow[]> {
  const scope = scopeOf(filter);
  if (scope) return (await db.query<GroupRow>(prepared('groups', groupsBySums(scope, page)))).rows;
  const recent = recentOf(filter);
  const statement = recent ? groupsByRecent(recent, page) : groupsByLetters(condition, page);
  try {
    return await db.transaction(async (tx) => (await tx.query<GroupRow>(prepared('groups', statement))).rows, {
      readOnly: true,
      statementTimeoutMs: slowFilterMs,
    });
  } catch (error) {
    if ((error as { code?: unknown }).code !== '57014') throw error;
    throw refuse('filter_too_slow', { hint: 'name a queue, a fingerprint, or a shorter time' });
  }
}
