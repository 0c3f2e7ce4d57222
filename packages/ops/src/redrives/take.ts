import type { Actor } from '../audit/index.ts';
import { type Claim, claimLetters, closeLetters } from '../dead-letters/index.ts';
import type { Failpoint } from '../failpoints/index.ts';
import type { Logger } from '../logging/index.ts';
import { databaseFailure, sql, type Tx } from '../postgres/index.ts';
import type { QueueRegistry } from '../queues/index.ts';
import {
  markClosed,
  markSent,
  markSkipped,
  pastSafeWindow,
  type PlannedItem,
  type SentItem,
  skipBecause,
} from './item-queries.ts';
import type { Redrive } from './queries.ts';

export interface TakeDeps {
  readonly registry: QueueRegistry;
  readonly log: Logger;
  readonly failpoint: Failpoint;
}

export interface TakeOptions {
  readonly redrive: Redrive;
  readonly isCanary: boolean;
  /** Tries items that break the claim alone, so that the others go. */
  readonly careful: boolean;
}

export interface Taken {
  readonly sent: number;
  readonly skipped: number;
}

/** A claim that failed for the sake of its data: the transaction is lost, and another must be careful. */
export class ClaimFailed extends Error {
  override name = 'ClaimFailed';
}

/** Items whose letters were claimed in a transaction that is still open; the items do not say so yet. */
export interface ClaimedItems {
  readonly items: readonly PlannedItem[];
  readonly sent: readonly SentItem[];
  /** Places of those whose claim fails alone, and of those that must not be repeated any more. */
  readonly broken: readonly number[];
  readonly late: ReadonlySet<number>;
}

/** Takes items: their letters go out, or are closed, and the items say so, in the caller's transaction. What changed since the plan is skipped. */
export async function takeItems(
  tx: Tx,
  items: readonly PlannedItem[],
  options: TakeOptions,
  deps: TakeDeps,
): Promise<Taken> {
  return markItems(tx, await claimItems(tx, items, options, deps), options);
}

/** The letters of {@link takeItems}. */
export async function claimItems(
  tx: Tx,
  items: readonly PlannedItem[],
  { redrive, careful }: Omit<TakeOptions, 'isCanary'>,
  deps: TakeDeps,
): Promise<ClaimedItems> {
  const late = redrive.action === 'retry' ? await pastSafeWindow(tx, deps.registry, items) : new Set<number>();
  const wanted = items.filter(({ ord }) => !late.has(ord));
  await deps.failpoint('redrive.before_claim');
  const { sent, broken } = careful
    ? await claimApart(tx, wanted, redrive, deps)
    : { sent: await claimAll(tx, wanted, redrive, deps), broken: [] };
  await deps.failpoint('redrive.after_claim');
  return { items, sent, broken, late };
}

/** The items of {@link takeItems}. */
export async function markItems(
  tx: Tx,
  { items, sent, broken, late }: ClaimedItems,
  { redrive, isCanary }: Pick<TakeOptions, 'redrive' | 'isCanary'>,
): Promise<Taken> {
  const sentOrds = sent.map(({ ord }) => ord);
  if (redrive.action === 'retry') await markSent(tx, redrive.id, sent, isCanary);
  else await markClosed(tx, redrive.id, sentOrds);
  const settled = new Set([...sentOrds, ...broken, ...late]);
  const left = items.filter(({ ord }) => !settled.has(ord)).map(({ ord }) => ord);
  await markSkipped(tx, redrive.id, left);
  await skipBecause(tx, redrive.id, [...late], 'past_safe_window');
  await skipBecause(tx, redrive.id, broken, 'claim_failed');
  return { sent: sent.length, skipped: items.length - sent.length };
}

async function claimAll(tx: Tx, items: readonly PlannedItem[], redrive: Redrive, deps: TakeDeps): Promise<SentItem[]> {
  try {
    return await claim(tx, items, redrive, deps);
  } catch (error) {
    // A conflict or an absent server is no fault of an item.
    if (databaseFailure(error) !== undefined) throw error;
    throw new ClaimFailed('a claim failed', { cause: error });
  }
}

/** Claims halves of what fails, down to the items that fail alone. */
async function claimApart(
  tx: Tx,
  items: readonly PlannedItem[],
  redrive: Redrive,
  deps: TakeDeps,
): Promise<{ sent: SentItem[]; broken: number[] }> {
  if (items.length === 0) return { sent: [], broken: [] };
  await tx.query(sql`savepoint redrive_claim`);
  try {
    const sent = await claim(tx, items, redrive, deps);
    await tx.query(sql`release savepoint redrive_claim`);
    return { sent, broken: [] };
  } catch (error) {
    if (databaseFailure(error) !== undefined) throw error;
    await tx.query(sql`rollback to savepoint redrive_claim; release savepoint redrive_claim`);
    const [only] = items;
    if (items.length === 1 && only) {
      deps.log.error('redrive_item_failed', error, { redrive_id: redrive.id, letter_id: only.letter_id });
      return { sent: [], broken: [only.ord] };
    }
  }
  const half = Math.ceil(items.length / 2);
  const first = await claimApart(tx, items.slice(0, half), redrive, deps);
  const second = await claimApart(tx, items.slice(half), redrive, deps);
  return { sent: [...first.sent, ...second.sent], broken: [...first.broken, ...second.broken] };
}

async function claim(
  tx: Tx,
  items: readonly PlannedItem[],
  redrive: Redrive,
  { registry }: TakeDeps,
): Promise<SentItem[]> {
  if (items.length === 0) return [];
  const { id: redriveId, action, options, reason } = redrive;
  const claims: Claim[] = items.map(({ letter_id, letter_version }) => ({
    letterId: letter_id,
    version: letter_version,
  }));
  const ords = new Map(items.map(({ letter_id, ord }) => [letter_id, ord]));
  const common = { actor: actorOf(redrive), redriveId, reason: reason ?? undefined };
  const ordOf = (letterId: string) => ords.get(letterId) ?? 0;
  if (action !== 'retry') {
    const closed = await closeLetters(tx, claims, { ...common, action });
    return closed.map(({ letterId }) => ({ ord: ordOf(letterId), generation: 0 }));
  }
  const claimed = await claimLetters(tx, claims, {
    ...common,
    registry,
    targetQueue: options.target_queue ?? undefined,
  });
  return claimed.map(({ letterId, generation }) => ({ ord: ordOf(letterId), generation }));
}

/** Whoever started it acts through the engine. */
function actorOf({ started_by, started_by_name, started_via }: Redrive): Actor {
  return {
    id: started_by ?? 'system',
    name: started_by_name ?? 'system',
    via: (started_via as Actor['via'] | null) ?? 'system',
  };
}
