import { type Database, groupCommit } from '@fmhl/ops';
import { insertLeads, type NewLead, type StoredLead } from './intake-statement.ts';

/** Where submitted leads are stored. */
export interface Intake {
  /** Resolves once the lead is committed; undefined when its niche knows the idempotency key, or its source is blocked. */
  store(lead: NewLead): Promise<StoredLead | undefined>;
}

/**
 * Submissions that come while others are being stored share the next statement and its commit: under load that halves the work of
 * Postgres, and a lonely one waits for nobody.
 */
export function openIntake(db: Pick<Database, 'query'>): Intake {
  const commits = groupCommit<NewLead, StoredLead>({
    keyOf,
    async write(leads) {
      const inOrder = leads.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
      const stored = new Map((await insertLeads(db, inOrder)).map((lead) => [lead.id, lead]));
      return new Map(
        leads.flatMap((lead) => {
          const row = stored.get(lead.id);
          return row ? [[keyOf(lead), row] as const] : [];
        }),
      );
    },
  });
  return { store: (lead) => commits.add(lead) };
}

/** Of two leads under one idempotency key the second has to find the first, so they go separate ways. */
function keyOf({ id, niche, idempotencyKey }: NewLead): string {
  return idempotencyKey === null ? id : `${niche.id}:${idempotencyKey}`;
}
