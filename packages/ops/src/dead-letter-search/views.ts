import type { z } from 'zod';
import { type Actor, audit } from '../audit/index.ts';
import { printFilter } from '../filters/index.ts';
import { type Queryable, sql, type Tx } from '../postgres/index.ts';
import type { QueueRegistry } from '../queues/index.ts';
import { refuse } from '../refusals/index.ts';
import type { savedView, savedViewBody } from './contract.ts';
import { type FilterReader, readFilter } from './read-filter.ts';

export type SavedView = z.infer<typeof savedView>;

const systemViews: readonly { id: string; name: string; q: string }[] = [
  { id: 'open', name: 'Open', q: 'state:open' },
  { id: 'mine', name: 'Mine', q: 'assignee:me state:open' },
  { id: 'recent', name: 'New in the last hour', q: 'age:<1h state:open' },
  { id: 'crashed', name: 'Died of a crash', q: 'cause:crash_loop,stalled state:open' },
];

/** The system's views, the actor's own, and those that others share. */
export async function listViews(db: Queryable, actor: Actor): Promise<SavedView[]> {
  const { rows } = await db.query<Omit<SavedView, 'created_at'> & { created_at: Date }>(sql`
    select id, name, q, scope, owner_name as owner, created_at from ops.saved_view
    where scope = 'all' or owner = ${actor.id} order by name, id limit 500`);
  const regressed = { id: 'regressed', name: 'Regressed', q: await regressedFilter(db) };
  const ofSystem = [...systemViews.slice(0, 2), regressed, ...systemViews.slice(2)].map(
    (view): SavedView => ({ ...view, scope: 'system', owner: null, created_at: null }),
  );
  return [...ofSystem, ...rows.map((row) => ({ ...row, created_at: row.created_at.toISOString() }))];
}

/** Groups that died again on a version that should have mended them; the newest hundred. */
async function regressedFilter(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ fingerprint: string }>(sql`
    select fingerprint from ops.dead_letter_group where regressed_at is not null order by regressed_at desc limit 100`);
  return rows.length === 0 ? 'fp:"none" state:open' : `fp:${rows.map((row) => row.fingerprint).join(',')} state:open`;
}

/** Saves a filter under a name of the actor's. Throws refusal `filter_invalid`, or `name_taken` when the actor has one of that name. */
export async function saveView(
  tx: Tx,
  view: z.infer<typeof savedViewBody> & FilterReader & { actor: Actor; registry: QueueRegistry },
): Promise<SavedView> {
  const { actor, name, scope } = view;
  const q = printFilter(readFilter({ q: view.q }, view.registry, view));
  const { rows } = await tx.query<{ id: string; created_at: Date }>(sql`
    insert into ops.saved_view (name, q, scope, owner, owner_name) values (${name}, ${q}, ${scope}, ${actor.id}, ${actor.name})
    on conflict (owner, name) do nothing returning id, created_at`);
  const [saved] = rows;
  if (!saved) throw refuse('name_taken', { name });
  await audit(tx, { actor, action: 'view.saved', targetType: 'view', targetId: saved.id, details: { q, scope } });
  return { id: saved.id, name, q, scope, owner: actor.name, created_at: saved.created_at.toISOString() };
}

/** Removes a view of the actor's, or a shared one when `mayShare`. Throws refusal `not_found`. */
export async function removeView(
  tx: Tx,
  { id, actor, mayShare }: { id: string; actor: Actor; mayShare: boolean },
): Promise<void> {
  const { rows } = await tx.query<{ q: string; scope: string }>(sql`
    delete from ops.saved_view where id = ${id} and (owner = ${actor.id} or (scope = 'all' and ${mayShare})) returning q, scope`);
  const [removed] = rows;
  if (!removed) throw refuse('not_found');
  await audit(tx, { actor, action: 'view.removed', targetType: 'view', targetId: id, details: { ...removed } });
}
