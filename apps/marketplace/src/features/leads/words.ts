import { sql, type Tx } from '@fmhl/ops';

/**
 * What a buyer wrote about a lead, which may name its person: undefined when the lead is erased. Else it holds off an erasure until the
 * caller's commit, so that the erasure finds what the caller stores. Take it before any other lock: the lead comes first.
 */
export async function wordsOf(
  tx: Tx,
  { assignmentId, providerId }: { assignmentId: string; providerId: string },
  words: string | undefined,
): Promise<string | undefined> {
  if (words === undefined) return undefined;
  const { rows } = await tx.query<{ erased_at: Date | null }>(sql`
    select erased_at from lead
    where id = (select lead_id from v_assignment where id = ${assignmentId}::uuid and provider_id = ${providerId}::uuid) for share`);
  return rows[0]?.erased_at ? undefined : words;
}
