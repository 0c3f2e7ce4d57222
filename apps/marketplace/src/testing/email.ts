import { randomUUID } from 'node:crypto';
import { type Queryable, sql } from '@fmhl/ops';

export interface EmailOverrides {
  template?: string;
  variables?: Record<string, unknown>;
  to?: string;
  status?: 'queued' | 'sending' | 'sent' | 'failed' | 'suppressed';
}

/** A mail without its job; by default a queued `welcome`. */
export async function makeEmail(db: Queryable, overrides: EmailOverrides = {}): Promise<{ id: string; to: string }> {
  const id = randomUUID();
  const { template = 'welcome', variables = {}, to = `reader-${id}@example.com`, status = 'queued' } = overrides;
  await db.query(sql`
    insert into email (id, dedupe_key, template, template_version, to_address, variables, status, sent_at)
    values (${id}, ${`test:${id}`}, ${template}, 1, ${to}, ${JSON.stringify(variables)}, ${status},
            case when ${status} = 'sent' then clock_timestamp() end)`);
  return { id, to };
}
