import { databaseFailure, Refusal, type Tx } from '@fmhl/ops';
import type { Log } from '../../log.ts';
import type { BillingOperation, ProductMetrics } from '../../metrics.ts';

export interface BillingDeps {
  readonly metrics: Pick<ProductMetrics, 'billingOperationDurationMs' | 'billingFailure'>;
  readonly log: Log;
}

/**
 * Runs one money operation and records how long it took, once it is committed. A refusal is a business result; a lock conflict is
 * tried again by the caller; anything else is a billing failure.
 */
export async function measured<T>(
  tx: Tx,
  operation: BillingOperation,
  deps: BillingDeps,
  work: () => Promise<T>,
): Promise<T> {
  const startedAt = performance.now();
  try {
    const result = await work();
    const tookMs = performance.now() - startedAt;
    tx.afterCommit(() => deps.metrics.billingOperationDurationMs[operation].observe(tookMs));
    return result;
  } catch (error) {
    if (!(error instanceof Refusal) && databaseFailure(error) !== 'conflict') {
      deps.metrics.billingFailure(operation, 'error');
      deps.log.error('billing_failed', error, { operation });
    }
    throw error;
  }
}
