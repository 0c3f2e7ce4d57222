import { type Actor, appendEvents, audit, type Queryable, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { queueMails } from '../email/index.ts';
import { levelById, type LevelRow, lockNiche } from './catalogue-queries.ts';
import type { PriceChange } from './contract.ts';
import { turnedMail } from './funding.ts';
import { changePct, doubtsOf, planHash, type PriceEdit, type PriceEffect } from './price-plan.ts';
import { pauseAtPrice, readLevelSales, readPriceEffect, resumeAtPrice, updatePrice } from './price-queries.ts';
import type { Turned } from './queries.ts';

const month = 30 * 86_400_000;
/** Mails in one statement. */
const mailsAtOnce = 1_000;

export interface PricePreview {
  level: LevelRow;
  effect: PriceEffect;
  changePct: number;
  leads: number;
  revenueCents: number;
  planHash: string;
}

/** What a new price would do now. Refuses `not_found`. */
export async function previewPrice(
  db: Queryable,
  { levelId, priceCents, now }: { levelId: string; priceCents: number; now: Date },
): Promise<PricePreview> {
  const level = await levelById(db, levelId);
  if (!level) throw refuse('not_found');
  const effect = await readPriceEffect(db, { levelId, priceCents });
  const { leads, revenue_cents: revenueCents } = await readLevelSales(db, {
    levelId,
    since: new Date(now.getTime() - month),
  });
  const edit = editOf(level, priceCents);
  return {
    level,
    effect,
    changePct: changePct(level.price_cents, priceCents),
    leads,
    revenueCents,
    planHash: planHash(edit, effect),
  };
}

export interface PriceChanged {
  paused: number;
  resumed: number;
}

/**
 * Sets the price of a level and, in the same transaction, pauses what can no longer pay it and resumes what can again. It holds the lock of
 * the niche, under which every sale reads its prices. A deposit that commits in the middle may leave one subscription paused, which the
 * next reactivation wakes.
 * Refuses `not_found`, `plan_drifted` (the plan is no longer the one previewed) and `approval_needed` (without the level's name for a
 * change that is large, or leaves many without funds).
 */
export async function changePrice(
  tx: Tx,
  { levelId, change, actor }: { levelId: string; change: PriceChange; actor: Actor },
  { log }: { log: Log },
): Promise<PriceChanged> {
  const { level, edit, effect } = await lockedPlan(tx, levelId, change.price_cents);
  if (planHash(edit, effect) !== change.plan_hash) throw refuse('plan_drifted');
  const doubts = doubtsOf(edit, effect);
  if (doubts.length > 0 && change.confirm !== level.name) {
    throw refuse('approval_needed', { because: doubts, needs: 'confirm: the name of the level' });
  }
  return setPrice(tx, { edit, doubts, memo: change.memo, actor }, log);
}

/** The price and its sweep, on record and told. */
async function setPrice(
  tx: Tx,
  { edit, doubts, memo, actor }: { edit: PriceEdit; doubts: readonly string[]; memo: string; actor: Actor },
  log: Log,
): Promise<PriceChanged> {
  const { levelId, fromCents, toCents } = edit;
  const version = await updatePrice(tx, levelId, toCents);
  const ref = `price-${levelId}-v${version}`;
  const sweep = { levelId, priceCents: toCents, ref };
  const paused = await pauseAtPrice(tx, sweep);
  const resumed = await resumeAtPrice(tx, sweep);
  const counts = { paused: paused.length, resumed: resumed.length };
  const told = { level_id: levelId, from_cents: fromCents, to_cents: toCents, ...counts, ref };
  await audit(tx, {
    actor,
    action: 'level.price_changed',
    targetType: 'level',
    targetId: levelId,
    reason: memo,
    details: { ...told, change_pct: changePct(fromCents, toCents), confirmed: doubts },
  });
  const fact = { stream: 'leads', type: 'level.price_changed', aggregateType: 'level', aggregateId: levelId };
  await appendEvents(tx, [{ ...fact, aggregateVersion: version, payload: told }]);
  await mail(tx, paused, 'subscriptions_paused', ref);
  await mail(tx, resumed, 'subscriptions_resumed', ref);
  tx.afterCommit(() => log.info('level_price_changed', told));
  return counts;
}

async function lockedPlan(
  tx: Tx,
  levelId: string,
  priceCents: number,
): Promise<{ level: LevelRow; edit: PriceEdit; effect: PriceEffect }> {
  const seen = await levelById(tx, levelId);
  if (!seen) throw refuse('not_found');
  await lockNiche(tx, seen.niche_id);
  const level = (await levelById(tx, levelId)) as LevelRow;
  return { level, edit: editOf(level, priceCents), effect: await readPriceEffect(tx, { levelId, priceCents }) };
}

const editOf = ({ id, version, price_cents }: LevelRow, toCents: number): PriceEdit => ({
  levelId: id,
  version,
  fromCents: price_cents,
  toCents,
});

async function mail(
  tx: Tx,
  turned: readonly Turned[],
  template: 'subscriptions_paused' | 'subscriptions_resumed',
  ref: string,
): Promise<void> {
  for (let from = 0; from < turned.length; from += mailsAtOnce) {
    await queueMails(
      tx,
      turned.slice(from, from + mailsAtOnce).map((each) => turnedMail(each, template, ref)),
    );
  }
}
