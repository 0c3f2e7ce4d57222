import type { Actor } from '../audit/index.ts';
import { conflictOf, readLetter } from '../dead-letters/index.ts';
import { type Queryable, sql, type Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import { set } from './annotate.ts';
import { type Annotated, type Annotations, lockSubject, type Subject } from './subject.ts';

export interface SnoozeRequest {
  readonly subject: Subject;
  readonly actor: Actor;
  readonly reason: string;
  /** 30 days ahead at most. */
  readonly until?: Date | undefined;
  /** Until its group died this many times more. */
  readonly moreThan?: number | undefined;
  readonly expectedVersion?: number | undefined;
  readonly now: Date;
}

const longestMs = 30 * 86_400_000;

/**
 * Lets a letter or a group sleep until a time, until more deaths, or until the first of both. It is still counted.
 * Throws refusal `not_found`, `version_changed`, `validation_failed` (a time that is past or too far), and for a letter
 * `already_retrying` or `already_resolved`.
 */
export async function snooze(tx: Tx, request: SnoozeRequest): Promise<Annotations> {
  const { subject, until = null, moreThan, now } = request;
  refuseTime(until, now);
  const { fingerprint } = await lockSubject(tx, subject, request.expectedVersion);
  const deaths = moreThan === undefined ? null : (await deathsOf(tx, fingerprint)) + moreThan;
  return set(
    tx,
    request,
    {
      holds: (present) =>
        isAsleep(subject, present) &&
        present.snoozed_deaths === deaths &&
        present.snoozed_until?.getTime() === until?.getTime(),
      columns: sql`snoozed_until = ${until}, snoozed_deaths = ${deaths}${subject.kind === 'letter' ? sql`, state = 'snoozed'` : sql``}`,
      action: 'dlq.snoozed',
      reason: request.reason,
      details: { until: until?.toISOString() ?? null, until_deaths: deaths },
    },
    refuseBusy,
  );
}

/** Ends a snooze. Throws refusal `not_found`, `version_changed`, `already_retrying` or `already_resolved`. */
export async function wake(
  tx: Tx,
  request: Pick<SnoozeRequest, 'subject' | 'actor' | 'expectedVersion'>,
): Promise<Annotations> {
  const { subject } = request;
  const awake = sql`snoozed_until = null, snoozed_deaths = null${subject.kind === 'letter' ? sql`, state = 'pending'` : sql``}`;
  return set(
    tx,
    request,
    { holds: (present) => !isAsleep(subject, present), columns: awake, action: 'dlq.snooze_ended', details: {} },
    refuseBusy,
  );
}

function isAsleep({ kind }: Subject, present: Annotated): boolean {
  if (kind === 'letter') return present.state === 'snoozed';
  return present.snoozed_until !== null || present.snoozed_deaths !== null;
}

function refuseTime(until: Date | null, now: Date): void {
  if (!until) return;
  const ahead = until.getTime() - now.getTime();
  if (ahead > 0 && ahead <= longestMs) return;
  throw refuse('validation_failed', { faults: [{ at: 'body.until', message: 'must be within the next 30 days' }] });
}

/** A letter that runs or is closed does not wait for anybody. */
async function refuseBusy(tx: Tx, subject: Subject, { state }: Annotated): Promise<void> {
  const isClosed = state === 'resolved' || state === 'discarded';
  if (subject.kind === 'group' || (!isClosed && state !== 'retrying')) return;
  const first = await conflictOf(tx, await readLetter(tx, subject.id));
  throw refuse(isClosed ? 'already_resolved' : 'already_retrying', { state, ...first });
}

async function deathsOf(db: Queryable, fingerprint: string): Promise<number> {
  const { rows } = await db.query<{ deaths: number }>(sql`
    select coalesce(sum(deaths), 0) as deaths from (
      select deaths from ops.dead_letter_stock where fingerprint = ${fingerprint}
      union all select deaths from ops.dead_letter_change where fingerprint = ${fingerprint}) sums`);
  return rows[0]?.deaths ?? 0;
}
