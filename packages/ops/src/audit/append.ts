import { currentContext } from '../logging/index.ts';
import { prepared, sql, type Tx } from '../postgres/index.ts';

/** Who acts. Ids are text, so that a person, a token and a schedule fit one column. */
export interface Actor {
  /** Stable id, such as a user's UUID or `system`. */
  readonly id: string;
  /** What a reader of the audit log sees: a display name or a role, never an e-mail address. */
  readonly name: string;
  /** The face the actor came through. */
  readonly via: 'http' | 'cli-local' | 'webhook' | 'system';
}

/** Work that no person asked for: schedules, sweepers, seeds. */
export const systemActor: Actor = { id: 'system', name: 'system', via: 'system' };

export interface AuditEntry {
  readonly actor: Actor;
  /** `<area>.<past tense>`, such as `lead.approved`. */
  readonly action: string;
  readonly targetType: string;
  readonly targetId: string;
  /** Why, in the actor's words. */
  readonly reason?: string | undefined;
  /** Ids, numbers and enums; never personal data. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * Appends one row to `ops.audit_log` in the transaction of the act it records. The act does not wait for it: the row is sent, and where it
 * cannot be written the transaction fails.
 */
export async function audit(tx: Tx, entry: AuditEntry): Promise<void> {
  const { actor, action, targetType, targetId, reason, details = {} } = entry;
  tx.send(
    prepared(
      'audit',
      sql`
        insert into ops.audit_log (actor, actor_name, via, action, target_type, target_id, reason, details, correlation_id)
        values (${actor.id}, ${actor.name}, ${actor.via}, ${action}, ${targetType}, ${targetId}, ${reason ?? null},
                ${JSON.stringify(details)}, ${currentContext()?.correlationId ?? 'none'})`,
    ),
  );
}
