import { randomUUID } from 'node:crypto';
import { type Actor, audit } from '../audit/index.ts';
import { openLease } from '../leases/index.ts';
import type { Database, Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';

export interface RepairRequest {
  readonly reason: string;
  readonly actor: Actor;
  /** Sweeps every queue once. */
  readonly sweep: () => Promise<unknown>;
  readonly onError: (error: unknown) => void;
}

/** Longest time one repair keeps others out, in ms. */
const longestMs = 60_000;

/**
 * Sweeps now, instead of within seconds: the sweep begins once the caller's transaction, which records it, is committed.
 * Throws refusal `in_progress` while another repair runs.
 */
export async function repairProof(
  db: Database,
  tx: Tx,
  { reason, actor, sweep, onError }: RepairRequest,
): Promise<void> {
  const lease = openLease(db, { name: 'proof-repair', holder: randomUUID(), ttlMs: longestMs });
  if (!(await lease.hold())) throw refuse('in_progress');
  await audit(tx, { actor, action: 'dlq.proof_repaired', targetType: 'dead_letters', targetId: 'proof', reason });
  const repair = async () => {
    try {
      await sweep();
    } finally {
      await lease.resign();
    }
  };
  tx.afterCommit(() => void repair().catch(onError));
}
