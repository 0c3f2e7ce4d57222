import { type Actor, adoptCorrelation, appendEvents, audit, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { wordsOf } from '../leads/index.ts';
import { insertDecision, type Mark, readDecision } from './queries.ts';

export interface Decision {
  assignmentId: string;
  providerId: string;
  decision: 'accepted' | 'declined';
  /** Of a decline, in the provider's words. */
  reason?: string | undefined;
  actor: Actor;
}

/**
 * Notes what a provider makes of a lead they bought; no money moves. The same again changes nothing. Of an erased lead no reason is kept.
 * Refuses `not_found`, and `already_decided` for the opposite.
 */
export async function decide(tx: Tx, input: Decision, { log }: { log: Log }): Promise<Mark & { changed: boolean }> {
  const { assignmentId, providerId, decision } = input;
  const reason = await wordsOf(tx, input, input.reason);
  const mark = await insertDecision(tx, { assignmentId, providerId, decision, reason });
  if (!mark) return { ...(await standing(tx, input)), changed: false };
  adoptCorrelation(mark.correlation_id);
  await audit(tx, {
    actor: input.actor,
    action: 'assignment.decided',
    targetType: 'assignment',
    targetId: assignmentId,
    details: { decision },
  });
  await appendEvents(tx, [
    {
      stream: 'leads',
      type: 'assignment.decided',
      aggregateType: 'inbox_mark',
      aggregateId: assignmentId,
      aggregateVersion: mark.version,
      payload: { assignment_id: assignmentId, decision },
    },
  ]);
  tx.wake('events');
  tx.afterCommit(() => log.info('assignment_decided', { assignment_id: assignmentId, decision }));
  return { ...mark, changed: true };
}

async function standing(tx: Tx, { assignmentId, providerId, decision }: Decision): Promise<Mark> {
  const mark = await readDecision(tx, assignmentId, providerId);
  if (!mark) throw refuse('not_found');
  if (mark.decision !== decision) throw refuse('already_decided', { decision: mark.decision });
  return mark;
}
