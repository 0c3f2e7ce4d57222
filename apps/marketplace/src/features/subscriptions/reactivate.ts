import type { Database, Tx } from '@fmhl/ops';
import type { Log } from '../../log.ts';
import type { ProductMetrics } from '../../metrics.ts';
import { announce } from './funding.ts';
import type { Turned } from './queries.ts';
import { findFundable, reactivate, wokenBy } from './reactivation-queries.ts';

export interface ReactivationOptions {
  readonly db: Database;
  /** Of the schedule's run: the cause that events and mails name. */
  readonly runId: string;
  /** Stops it after the batch under way. */
  readonly signal?: AbortSignal;
  readonly log: Log;
  readonly metrics: Pick<ProductMetrics, 'subscriptionsReactivated'>;
  /** Providers in one transaction. Default 1,250: their rows are locked for a third of a second. */
  readonly batch?: number;
}

/** A type, and no interface, as it is stored by those who know any counts. */
export type ReactivationCounts = {
  /** Subscriptions that were paused for funds. */
  readonly checked: number;
  readonly reactivated: number;
  /** Whose they are. */
  readonly providers: number;
};

/** Providers whose facts and mails are one statement: to prepare all of a batch at once would hold up the process's other work. */
const toldAtOnce = 250;
/** Ids a log line names, in rows of as many as it keeps of one list. */
const namedAtMost = 100;
const namedARow = 20;

/**
 * Makes active what sleeps for funds although the balance pays it. A safety net: every credit and every price cut resumes at once, so that
 * a find is a warning. What a provider or an administrator paused stays so. Each batch is its own commit, so a crash loses none, and an
 * attempt that follows finds the rest, and answers for the whole run.
 */
export async function reactivateSubscriptions(options: ReactivationOptions): Promise<ReactivationCounts> {
  const { db, runId, signal, batch = 1_250, log, metrics } = options;
  const before = await wokenBy(db, runId);
  const found = await findFundable(db);
  const { providerIds } = found;
  const ids: string[] = [];
  for (let from = 0; from < providerIds.length; from += batch) {
    signal?.throwIfAborted();
    const turned = await db.transaction((tx) => wake(tx, providerIds.slice(from, from + batch), options));
    metrics.subscriptionsReactivated.inc(countOf(turned));
    for (const row of turned) if (ids.length < namedAtMost) ids.push(...row.ids);
  }
  const checked = before.reactivated + found.checked;
  const { reactivated, providers } = await wokenBy(db, runId);
  if (reactivated > 0) {
    const named = ids.slice(0, namedAtMost);
    const subscription_ids = named.flatMap((_id, at) =>
      at % namedARow === 0 ? [named.slice(at, at + namedARow)] : [],
    );
    log.warn('subscriptions_reactivated', { run_id: runId, checked, reactivated, providers, subscription_ids });
  }
  return { checked, reactivated, providers };
}

async function wake(tx: Tx, providerIds: readonly string[], { runId }: ReactivationOptions): Promise<Turned[]> {
  const turned = await reactivate(tx, providerIds, runId);
  const telling = {
    type: 'subscription.resumed',
    template: 'subscriptions_resumed',
    cause: 'reactivation',
    ref: runId,
  } as const;
  for (let from = 0; from < turned.length; from += toldAtOnce) {
    await announce(tx, turned.slice(from, from + toldAtOnce), telling);
  }
  return turned;
}

const countOf = (turned: readonly Turned[]) => turned.reduce((sum, { ids }) => sum + ids.length, 0);
