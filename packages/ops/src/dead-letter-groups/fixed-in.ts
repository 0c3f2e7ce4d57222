import type { Actor } from '../audit/index.ts';
import { sql, type Tx } from '../postgres/index.ts';
import { set } from './annotate.ts';
import type { Annotations } from './subject.ts';

export interface FixedIn {
  readonly fingerprint: string;
  readonly version: string;
  readonly reason: string;
  readonly actor: Actor;
  readonly expectedVersion?: number | undefined;
}

/**
 * Says in which version the cause of a group was removed. A later death on that version or a newer one makes the group regressed.
 * Throws refusal `not_found` or `version_changed`.
 */
export async function markFixed(tx: Tx, fix: FixedIn): Promise<Annotations> {
  const { fingerprint, version, actor, reason, expectedVersion } = fix;
  return set(
    tx,
    { subject: { kind: 'group', fingerprint }, actor, expectedVersion },
    {
      // A fix that did not hold is marked anew with the same version, too.
      holds: (present) => present.fixed_in === version && !present.regressed,
      columns: sql`fixed_in = ${version}, fixed_by = ${actor.name}, fixed_at = clock_timestamp(), regressed_at = null`,
      action: 'dlq.group_fixed',
      reason,
      details: { fixed_in: version },
    },
  );
}
