import { randomUUID } from 'node:crypto';
import { until } from '../live/journeys.ts';
import type { Ground } from '../live/ground.ts';

export async function pauseQueue({ operator }: Ground, queue: string, reason: string): Promise<void> {
  await operator.post(`/admin/queues/${queue}/pause`, { reason }, randomUUID());
}

export async function resumeQueue({ operator }: Ground, queue: string, reason: string): Promise<void> {
  await operator.post(`/admin/queues/${queue}/resume`, { reason }, randomUUID());
}

/** Sends off at once what waits for its next try. */
export async function promoteDelayed({ operator }: Ground, queue: string): Promise<void> {
  const { jobs } = await operator.get<{ jobs: { job_id: string }[] }>(
    `/admin/queues/${queue}/jobs?state=delayed&limit=200`,
  );
  for (const { job_id } of jobs) {
    // It may have come due meanwhile.
    await operator.ask('POST', `/admin/queues/${queue}/jobs/${encodeURIComponent(job_id)}/promote`);
  }
}

export interface Letter {
  readonly id: string;
  readonly job_id: string | null;
}

export async function openLetters({ operator }: Ground, filter: string): Promise<Letter[]> {
  const q = encodeURIComponent(`${filter} state:open`);
  return (await operator.get<{ entries: Letter[] }>(`/admin/queues/dlq?q=${q}&limit=200`)).entries;
}

/** Waits until a queue holds no open letter. */
export async function noLettersLeft(ground: Ground, filter: string): Promise<void> {
  await until(`no dead letter of ${filter} is open`, async () => (await openLetters(ground, filter)).length === 0);
}
