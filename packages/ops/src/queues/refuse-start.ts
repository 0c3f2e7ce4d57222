import { UnrecoverableError } from 'bullmq';
import { type Delivery, finished, putBack } from './attempt.ts';
import { endForGood } from './bullmq.ts';
import type { Failure } from './failure.ts';
import type { NoStart } from './start.ts';
import { infrastructurePauseMs } from './verdict.ts';

/** A run that crashed before waits this long for its turn as the one suspect of a process, in ms. */
const suspectPauseMs = 200;

/** Obeys a refusal: tells BullMQ that the work is done, dead, or to be offered again. */
export async function refuseStart(why: NoStart, delivery: Delivery): Promise<unknown> {
  switch (why) {
    case 'done':
      return finished;
    case 'dead':
      throw await endForGood(delivery.job, delivery.token, 'the run is dead already', delivery.deps.end);
    case 'unknown':
      throw new UnrecoverableError('orphaned: Postgres knows no run with this key');
    case 'suspect_waits':
      return putBack(delivery, suspectPauseMs);
    case 'postgres_away':
      delivery.deps.onInfrastructureFailure();
      return putBack(delivery, infrastructurePauseMs);
    case 'crash_loop':
      return buryCrashLoop(delivery);
  }
}

const crashLoop: Failure = {
  class: 'permanent',
  type: 'CrashLoop',
  message: 'three starts ended without a word',
  stack: '',
  code: null,
};

async function buryCrashLoop({ job, token, envelope, queue, deps }: Delivery): Promise<never> {
  const death = await deps.deaths.bury({
    runKey: envelope.run,
    queue: queue.name,
    cause: 'crash_loop',
    failure: crashLoop,
  });
  const message = `crash_loop: ${crashLoop.message}`;
  throw death ? await endForGood(job, token, message, deps.end) : new UnrecoverableError(message);
}
