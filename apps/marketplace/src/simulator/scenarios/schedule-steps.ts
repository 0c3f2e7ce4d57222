import { randomUUID } from 'node:crypto';
import type { Ground } from '../live/ground.ts';
import { until } from '../live/journeys.ts';

export interface ScheduleRun {
  readonly run_id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly counts: Readonly<Record<string, number>> | null;
}

export async function runsOf({ operator }: Ground, schedule: string): Promise<ScheduleRun[]> {
  return (await operator.get<{ runs: ScheduleRun[] }>(`/admin/schedules/${schedule}/runs?limit=100`)).runs;
}

/** Runs a schedule now, and waits for its end; one that is about to run anyway is waited for. Answers what it counted; throws when it failed. */
export async function runSchedule(ground: Ground, schedule: string): Promise<Readonly<Record<string, number>>> {
  const runId = await askForRun(ground, schedule);
  const run = await until(`${schedule} has run`, async () =>
    (await runsOf(ground, schedule)).find(({ run_id, state }) => run_id === runId && !isOpen(state)),
  );
  if (run.state !== 'done') throw new Error(`${schedule} ended as ${run.state}: ${run.reason}`);
  return run.counts ?? {};
}

const isOpen = (state: string): boolean => state === 'started' || state === 'expected';

interface RunAnswer {
  readonly run_id?: string;
  readonly code?: string;
  readonly details?: { readonly run_id?: string };
}

async function askForRun({ operator }: Ground, schedule: string): Promise<string> {
  const body = { reason: 'An operator looks after it by hand' };
  const path = `/admin/schedules/${schedule}/run`;
  const answer = await operator.ask<RunAnswer>('POST', path, { body, key: randomUUID() });
  const runId = answer.body.run_id ?? (answer.body.code === 'run_open' ? answer.body.details?.run_id : undefined);
  if (runId === undefined) throw new Error(`${schedule} was not run: ${answer.status} ${answer.body.code}`);
  return runId;
}
