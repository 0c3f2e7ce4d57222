import type { SampledJob } from './bullmq-inspection.ts';
import type { QueueDefinition } from './definition.ts';

export interface Lint {
  readonly code: string;
  readonly text: string;
  /** Jobs that show it; empty when it is about the queue itself. */
  readonly jobs: string[];
}

/** What is unwise in the definition of a queue, and in the options of jobs that wait in it. Pure. */
export function lintOf(definition: QueueDefinition, sample: readonly SampledJob[]): Lint[] {
  return [...lintDefinition(definition), ...lintJobs(definition, sample)];
}

function lintDefinition({ attempts, backoffMs, kinds }: QueueDefinition): Lint[] {
  const unsafe = Object.entries(kinds)
    .filter(([, kind]) => kind.sideEffect === 'unsafe')
    .map(([name]) => name);
  return [
    ...rule(
      attempts === 1,
      'single_attempt',
      'Each job has one attempt: a short outage of anything it needs kills it.',
    ),
    ...rule(
      attempts > 1 && Math.max(...backoffMs) < 1_000,
      'short_backoff',
      'All attempts are used up within seconds: an outage that lasts longer kills every job.',
    ),
    ...rule(
      attempts > 1 && unsafe.length > 0,
      'unsafe_repeats',
      `A repeat of ${unsafe.join(', ')} does harm, and is tried again after a failure.`,
    ),
  ];
}

/** The plane sets the same options for all jobs: other ones come from a producer beside it. */
function lintJobs({ attempts }: QueueDefinition, sample: readonly SampledJob[]): Lint[] {
  const those = (isSo: (options: Record<string, unknown>) => boolean) =>
    sample.filter(({ options }) => isSo(options)).map(({ runKey }) => runKey);
  const removing = those(({ removeOnFail }) => removeOnFail !== false);
  const other = those((options) => options.attempts !== attempts);
  const repeated = those(({ repeat, repeatJobKey }) => repeat !== undefined || repeatJobKey !== undefined);
  return [
    ...rule(
      removing.length > 0,
      'remove_on_fail',
      'These jobs let BullMQ delete failed jobs, those of others included: their evidence is lost.',
      removing,
    ),
    ...rule(
      other.length > 0,
      'other_attempts',
      `These jobs do not have the ${attempts} attempts of their queue: they were added beside the plane, or before a change.`,
      other,
    ),
    ...rule(
      repeated.length > 0,
      'repeatable',
      'These jobs come from a repeatable job of BullMQ, which leaves no record.',
      repeated,
    ),
  ];
}

function rule(isBroken: boolean, code: string, text: string, jobs: string[] = []): Lint[] {
  return isBroken ? [{ code, text, jobs }] : [];
}
