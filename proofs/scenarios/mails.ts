import { sql } from '../../packages/ops/src/postgres/index.ts';
import type { Ground } from '../../apps/marketplace/src/simulator/live/ground.ts';

/** What the mail server took, beside what the product says that it sent. */
export interface MailCount {
  /** Mails that were promised since it listens and came not once, one line each. For a settled product. */
  faults(): Promise<string[]>;
  stop(): void;
}

export async function countMails({ control, db }: Ground): Promise<MailCount> {
  const taken = new Map<string, number>();
  const { rows } = await db.query<{ now: Date }>(sql`select clock_timestamp() as now`);
  const since = rows[0]?.now ?? new Date();
  const stop = await control.onMail(({ messageId }) => {
    const id = messageId.split('@', 1)[0] ?? '';
    taken.set(id, (taken.get(id) ?? 0) + 1);
  });
  return {
    stop,
    async faults() {
      const promised = await db.query<{ id: string; status: string; template: string }>(
        sql`select id, status, template from email where created_at > ${since}`,
      );
      return promised.rows
        .filter(({ id }) => taken.get(id) !== 1)
        .map(({ id, status, template }) => `the mail ${template} ${id} (${status}) came ${taken.get(id) ?? 0} times`);
    },
  };
}
