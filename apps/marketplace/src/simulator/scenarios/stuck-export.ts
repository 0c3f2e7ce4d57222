import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import type { Ground } from '../live/ground.ts';
import { bringLeads, until } from '../live/journeys.ts';
import { openMarket } from '../live/market.ts';
import { pauseQueue, resumeQueue } from './queue-steps.ts';
import { defineScenario } from './scenario.ts';

const queue = 'report_export';

export const stuckExport = defineScenario<{ exportId: string }>({
  name: 'stuck-export',
  title: 'An export stands still',
  cause: 'An export of all leads is under way, and the worker that writes it froze eleven minutes ago.',
  signals: [
    {
      list: '/admin/reports/exports?status=processing&limit=50',
      where: { stalled: true },
      count: 1,
      tells: 'an export is under way, and wrote no row for ten minutes',
    },
  ],
  steps: [
    'See how far it came: `GET /api/v1/admin/reports/exports/<id>` has `rows_done`, `rows_estimate` and `stalled`.',
    'Cancel it: `POST /api/v1/admin/reports/exports/<id>/cancel`. What was written is removed.',
    'Start its worker again, or resume its queue: `fmhl queue resume report_export --reason "…"`.',
    'Ask for the file anew: `POST /api/v1/admin/reports/export`.',
  ],
  async inject(ground) {
    await openMarket(ground);
    await bringLeads(ground, 1);
    await pauseQueue(ground, queue, 'The worker of the exports is frozen');
    const id = await askForExport(ground);
    await ground.db.query(sql`
      update export_job set status = 'processing', rows_done = 1, rows_estimate = 1000, version = version + 1,
             progress_at = clock_timestamp() - interval '11 minutes'
      where id = ${id}`);
    return { exportId: id };
  },
  async remedy(ground, { exportId }) {
    const { operator, url } = ground;
    await operator.post(`/admin/reports/exports/${exportId}/cancel`);
    await resumeQueue(ground, queue, 'The worker runs again');
    const id = await askForExport(ground);
    await until('the second export is there', async () => {
      const { status } = await operator.get<{ status: string }>(`/admin/reports/exports/${id}`);
      if (status === 'failed') throw new Error('the second export failed');
      return status === 'completed';
    });
    const { status } = await operator.ask('GET', `/admin/reports/exports/${id}/download`);
    if (status !== 200) throw new Error(`the download at ${url} was answered with ${status}`);
  },
  stop: (ground) => resumeQueue(ground, queue, 'The demonstration is over'),
});

async function askForExport({ operator }: Ground): Promise<string> {
  const day = (at: number) => new Date(at).toISOString().slice(0, 10);
  const asked = { type: 'leads', from: day(Date.now() - 86_400_000), to: day(Date.now() + 86_400_000) };
  return (await operator.post<{ id: string }>('/admin/reports/export', asked, randomUUID())).body.id;
}
