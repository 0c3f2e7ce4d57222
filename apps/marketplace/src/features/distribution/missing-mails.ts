import { sql, type Tx } from '@fmhl/ops';
import { queueMails } from '../email/index.ts';
import { contextUnder } from '../leads/index.ts';
import { newLeadMail } from './facts.ts';

interface Untold {
  id: string;
  email: string;
  niche: string;
  level: string;
  price_cents: number;
  correlation_id: string;
}

/**
 * Promises the mail of assignments of the last day that have none after five minutes, and answers how many: each is a repair worth
 * counting. For a loop.
 */
export async function queueMissingMails(tx: Tx, { limit }: { limit: number }): Promise<number> {
  const { rows } = await tx.query<Untold>(sql`
    select a.id, c.email, n.name as niche, v.name as level, a.price_cents, l.correlation_id
    from assignment a
    join v_lead l on l.id = a.lead_id
    join v_niche n on n.id = l.niche_id
    join v_level v on v.id = a.level_id
    join v_provider_contact c on c.provider_id = a.provider_id
    where a.assigned_at between now() - interval '1 day' and now() - interval '5 minutes'
      and not exists (select from v_email m where m.dedupe_key = 'new_lead:' || a.id)
    order by a.assigned_at limit ${limit}`);
  return queueMails(
    tx,
    rows.map(({ correlation_id, niche, level, price_cents: priceCents, ...sold }) => ({
      ...newLeadMail(sold, { niche, level, priceCents }),
      context: contextUnder(correlation_id),
    })),
  );
}
