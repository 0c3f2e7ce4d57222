import type { z } from 'zod';
import { type Queryable, sql } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import { readNotes } from './annotate.ts';
import type { deadLetterGroupDetail } from './contract.ts';
import { type GroupRow, groupsBySums } from './queries.ts';
import { groupsOf } from './read-groups.ts';
import { findRegressions, readFirstStarts } from './regressions.ts';

export type GroupDetail = z.infer<typeof deadLetterGroupDetail>;

const everything = { states: ['open', 'resolved', 'discarded'], names: [] } as const;

/** One group with what is known around it. Throws refusal `not_found`. */
export async function showGroup(db: Queryable, fingerprint: string): Promise<GroupDetail> {
  const { rows } = await db.query<GroupRow>(groupsBySums(everything, { sort: '-last_seen', limit: 1, fingerprint }));
  const row = rows[0];
  const [group] = await groupsOf(db, rows);
  if (!row || !group) throw refuse('not_found');
  const [notes, starts, sameFrame, regressions] = await Promise.all([
    readNotes(db, { kind: 'group', fingerprint }),
    readFirstStarts(db),
    readSameFrame(db, fingerprint, row.frame),
    row.regressed_at ? [{ at: row.regressed_at }] : row.fixed_in === null ? [] : findRegressions(db, [fingerprint]),
  ]);
  const { fixed_in, fixed_by, fixed_at } = row;
  return {
    ...group,
    fixed: fixed_in !== null && fixed_at ? { version: fixed_in, by: fixed_by ?? '', at: fixed_at.toISOString() } : null,
    regressed_at: regressions[0]?.at.toISOString() ?? null,
    notes,
    deploys: [...starts].map(([version, at]) => ({ version, at })).sort((a, b) => (a.at < b.at ? 1 : -1)),
    why: { classifier: row.classifier, error_type: row.error_type, message: row.message, frame: row.frame },
    same_frame: sameFrame,
  };
}

async function readSameFrame(
  db: Queryable,
  fingerprint: string,
  frame: string | null,
): Promise<GroupDetail['same_frame']> {
  if (frame === null) return [];
  const { rows } = await db.query<{ fingerprint: string; title: string; last_seen: Date }>(sql`
    select fingerprint, title, last_seen from ops.dead_letter_group
    where frame = ${frame} and fingerprint <> ${fingerprint} order by last_seen desc limit 20`);
  return rows.map((row) => ({ ...row, last_seen: row.last_seen.toISOString() }));
}

/**
 * The whole fingerprint of one that is given whole or by its first 8 characters or more.
 * Throws refusal `not_found`, or `bad_id` when several begin so.
 */
export async function resolveFingerprint(db: Queryable, given: string): Promise<string> {
  const { rows } = await db.query<{ fingerprint: string }>(sql`
    select fingerprint from ops.dead_letter_group where starts_with(fingerprint, ${given})
    order by fingerprint <> ${given}, fingerprint limit 2`);
  const [first, second] = rows.map((row) => row.fingerprint);
  if (first === undefined) throw refuse('not_found');
  if (first !== given && second !== undefined) throw refuse('bad_id', { several: [first, second] });
  return first;
}
