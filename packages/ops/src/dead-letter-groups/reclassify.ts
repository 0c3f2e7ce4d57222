import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { type Actor, audit } from '../audit/index.ts';
import { type Classified, classifier, fingerprintOf } from '../dead-letters/index.ts';
import { type Lease, openLease } from '../leases/index.ts';
import { type Database, type Queryable, sql, type Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import type { reclassification } from './contract.ts';

export type Reclassification = z.infer<typeof reclassification>;

const batchSize = 1_000;
/** Letters of each group that a preview classifies: the newest. */
const previewed = 5_000;

interface LetterRow {
  id: string;
  error_type: string;
  error_message: string;
  stack_trace: string | null;
  cause: string;
}

/**
 * What it would do to classify the letters of older classifiers again. Counts of letters are exact; splits and merges are those of the
 * newest 5,000 letters of each group. Throws refusal `validation_failed` for a classifier that does not exist.
 */
export async function previewReclassification(db: Queryable, to: number): Promise<Reclassification> {
  refuseUnknown(to);
  const groups = await olderGroups(db, to);
  const sources = new Map<string, Set<string>>();
  let splits = 0;
  for (const group of groups) {
    const targets = new Set((await lettersOf(db, group, previewed)).map((row) => classify(row).fingerprint));
    if (targets.size > 1) splits += 1;
    for (const target of targets) sources.set(target, (sources.get(target) ?? new Set()).add(group));
  }
  const existing = new Set(await existingOf(db, [...sources.keys()]));
  const merges = [...sources].filter(([target, from]) => from.size > 1 || existing.has(target)).length;
  return { to, dry_run: true, letters: await countOf(db, groups), groups: groups.length, splits, merges };
}

/**
 * Takes the right to reclassify and records it, in the caller's transaction; the work itself is `run`, to be called after the commit.
 * Throws refusal `in_progress` while another one runs, or `validation_failed`.
 */
export async function beginReclassification(
  db: Database,
  tx: Tx,
  { to, actor }: { to: number; actor: Actor },
): Promise<{ answer: Reclassification; run: () => Promise<number> }> {
  const preview = await previewReclassification(tx, to);
  const lease = openLease(db, { name: 'reclassify', holder: randomUUID(), ttlMs: 60_000 });
  if (!(await lease.hold())) throw refuse('in_progress');
  const { letters, groups, splits, merges } = preview;
  const target = { targetType: 'dead_letters', targetId: 'classifier' };
  await audit(tx, { actor, action: 'dlq.reclassified', ...target, details: { to, letters, groups, splits, merges } });
  return { answer: { ...preview, dry_run: false }, run: () => reclassify(db, to, lease) };
}

/** Moves letters to the groups of the present classifier, in batches. Answers how many. What a stop leaves is done by the next call. */
export async function reclassify(db: Database, to: number, lease: Lease): Promise<number> {
  let moved = 0;
  try {
    for (const group of await olderGroups(db, to)) {
      for (let size = batchSize; size === batchSize && (await lease.hold()); ) {
        size = await db.transaction((tx) => moveBatch(tx, group));
        moved += size;
      }
    }
  } finally {
    await lease.resign();
  }
  return moved;
}

/** The last batch of a group, one that is not full, takes the group with it. */
async function moveBatch(tx: Tx, from: string): Promise<number> {
  const rows = await lettersOf(tx, from, batchSize, true);
  const moves = rows.map((row) => ({ id: row.id, ...classify(row) }));
  const targets = new Map(moves.map((move) => [move.fingerprint, move]));
  for (const [fingerprint, target] of targets) await openGroup(tx, { ...target, fingerprint, from });
  await tx.query(sql`
    update ops.dead_letter_queue l set fingerprint = m.fingerprint
    from unnest(${moves.map(({ id }) => id)}::uuid[], ${moves.map(({ fingerprint }) => fingerprint)}::text[]) as m(id, fingerprint)
    where l.id = m.id`);
  if (rows.length < batchSize) {
    await tx.query(sql`delete from ops.dead_letter_note where fingerprint = ${from}`);
    await tx.query(sql`delete from ops.dead_letter_group where fingerprint = ${from}`);
  }
  return rows.length;
}

/** Makes the new group where there is none, with what people decided of the old one; its notes are carried over once. */
async function openGroup(tx: Tx, target: Classified & { id: string; from: string }): Promise<void> {
  const { fingerprint, from } = target;
  await tx.query(sql`
    insert into ops.dead_letter_group as g (fingerprint, title, error_type, message, frame, classifier, sample_id, first_seen, last_seen,
                                            first_version, last_version, assignee, ticket)
    select ${fingerprint}, ${target.title.slice(0, 300)}, ${target.errorType}, ${target.message}, ${target.frame}, ${classifier},
           ${target.id}, first_seen, last_seen, first_version, last_version, assignee, ticket
    from ops.dead_letter_group where fingerprint = ${from}
    on conflict (fingerprint) do update
    set first_seen = least(g.first_seen, excluded.first_seen), last_seen = greatest(g.last_seen, excluded.last_seen),
        assignee = coalesce(g.assignee, excluded.assignee), ticket = coalesce(g.ticket, excluded.ticket)`);
  await tx.query(sql`
    insert into ops.dead_letter_note (fingerprint, author, author_name, text, created_at)
    select ${fingerprint}, author, author_name, text, created_at from ops.dead_letter_note n
    where fingerprint = ${from} and not exists (
      select from ops.dead_letter_note o
      where o.fingerprint = ${fingerprint} and (o.author, o.created_at, o.text) = (n.author, n.created_at, n.text))`);
  await tx.query(sql`
    update ops.dead_letter_group
    set notes_count = (select count(*) from ops.dead_letter_note n where n.fingerprint = ${fingerprint})
    where fingerprint = ${fingerprint}`);
}

function classify({ error_type, error_message, stack_trace, cause }: LetterRow): Classified {
  return fingerprintOf({ type: error_type, message: error_message, stack: stack_trace ?? '', cause });
}

/** Groups whose fingerprint an older classifier made; what a thrown error brought along is no classifier's. */
async function olderGroups(db: Queryable, to: number): Promise<string[]> {
  const { rows } = await db.query<{ fingerprint: string }>(sql`
    select fingerprint from ops.dead_letter_group
    where classifier < ${to} and fingerprint ~ '^v[0-9]+_' order by fingerprint`);
  return rows.map(({ fingerprint }) => fingerprint);
}

async function lettersOf(db: Queryable, fingerprint: string, limit: number, locked = false): Promise<LetterRow[]> {
  const { rows } = await db.query<LetterRow>(sql`
    select id, error_type, error_message, stack_trace, cause from ops.dead_letter_queue
    where fingerprint = ${fingerprint} order by resolved, failed_at desc, id desc limit ${limit}${locked ? sql` for update` : sql``}`);
  return rows;
}

async function existingOf(db: Queryable, fingerprints: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ fingerprint: string }>(
    sql`select fingerprint from ops.dead_letter_group where fingerprint = any (${[...fingerprints]}::text[])`,
  );
  return rows.map(({ fingerprint }) => fingerprint);
}

async function countOf(db: Queryable, fingerprints: readonly string[]): Promise<number> {
  const { rows } = await db.query<{ letters: number }>(
    sql`select count(*)::int as letters from ops.dead_letter_queue where fingerprint = any (${[...fingerprints]}::text[])`,
  );
  return rows[0]?.letters ?? 0;
}

function refuseUnknown(to: number): void {
  if (to === classifier) return;
  throw refuse('validation_failed', {
    faults: [{ at: 'body.to', message: `must be ${classifier}, the present classifier` }],
  });
}
