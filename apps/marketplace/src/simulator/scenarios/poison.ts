import { randomUUID } from 'node:crypto';
import { enqueue, sql } from '@fmhl/ops';
import { emailQueue } from '../../queues.ts';
import { bringLeads, until } from '../live/journeys.ts';
import type { Ground } from '../live/ground.ts';
import { openMarket } from '../live/market.ts';
import { noLettersLeft, openLetters } from './queue-steps.ts';
import { defineScenario } from './scenario.ts';

const jobs = 3;
const mail = { queue: 'email_send' };

export const poison = defineScenario<{ keys: string[] }>({
  name: 'poison',
  title: 'A deploy writes payloads that nobody can read',
  cause: 'Three jobs for mails carry a version of the payload that no worker knows.',
  signals: [
    {
      metric: 'fmhl_jobs_dead_lettered_total',
      labels: { ...mail, reason: 'invalid' },
      rises: jobs,
      tells: 'jobs die at their first attempt, all of one cause',
    },
    {
      list: '/admin/queues/dlq?q=queue:email_send%20cause:invalid%20state:open',
      count: jobs,
      tells: 'their letters are open',
    },
  ],
  steps: [
    'See that they are one problem: `fmhl dlq groups queue:email_send`.',
    'Read one: `fmhl dlq inspect <id>`. The cause is `invalid`, the payload says `"v": 7`.',
    'Try the mended payload without running it: `fmhl dlq retry <id> --patch mend.json --dry-run`, with `[{"op":"replace","path":"/v","value":1}]` in the file.',
    'Run each again with the patch. The mails were sent before, so nobody gets a second one.',
  ],
  async inject(ground) {
    await openMarket(ground);
    const [sold] = await bringLeads(ground, 1);
    return { keys: await poisonJobs(ground, sold?.id ?? '') };
  },
  async remedy(ground) {
    const letters = await openLetters(ground, 'queue:email_send cause:invalid');
    for (const { id } of letters) await mend(ground, id);
    await noLettersLeft(ground, 'queue:email_send cause:invalid');
  },
  stop: async () => {},
});

/** Jobs as they should be, spoiled in the commit that makes them. */
async function poisonJobs({ db }: Ground, leadId: string): Promise<string[]> {
  const sent = await until('the mails of the lead are sent', async () => {
    const { rows } = await db.query<{ id: string; status: string }>(
      sql`select id, status from email where related_id = ${leadId} or status = 'sent' order by created_at desc limit ${jobs}`,
    );
    return rows.length === jobs && rows.every(({ status }) => status === 'sent') ? rows : undefined;
  });
  const keys = sent.map(() => `poison-${randomUUID()}`);
  await db.transaction(async (tx) => {
    for (const [at, { id }] of sent.entries()) {
      await enqueue(tx, emailQueue, 'send_email', { v: 1, email_id: id }, { key: keys[at] ?? '' });
    }
    await tx.query(sql`
      update ops.job_outbox set envelope = replace(envelope, '"v":1,"email_id"', '"v":7,"email_id"') where run_key = any(${keys})`);
  });
  return keys;
}

async function mend({ operator }: Ground, id: string): Promise<void> {
  const { payload_sha256 } = await operator.get<{ payload_sha256: string }>(`/admin/queues/dlq/${id}`);
  const patch = [{ op: 'replace', path: '/v', value: 1 }];
  const body = {
    reason: 'the version is that of a deploy that was taken back',
    expected_sha256: payload_sha256,
    patch,
  };
  await operator.post(`/admin/queues/dlq/${id}/retry`, body, randomUUID());
}
