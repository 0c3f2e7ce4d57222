import { existsSync } from 'node:fs';
import { done, type Job, type JobHandler, type JobOutcome, bury, sql, type Tx } from '../../packages/ops/src/index.ts';
import { type End, refusedCharacters, type Task } from './jobs.ts';

/** What the handlers of one process do. `dying`: as the payload orders · `mended`: the effect · `worse`: die of an error that nobody has met. */
export type Temper = 'dying' | 'mended' | 'worse';

/** A blocked process goes on as soon as this file is there. */
export const releaseFile = (directory: string, marker: string) => `${directory}/${marker}.release`;

/** Handles the jobs of all queues. The table of effects has no unique key: a doubled effect shows instead of being prevented. */
export function handlerOf(temper: Temper, directory: string): JobHandler<Task> {
  return async (job) => {
    if (temper === 'worse') throw new RangeError('an error that no plan knows');
    const dying = temper === 'dying' ? await deaths[job.payload.end](job, directory) : undefined;
    if (dying) return dying;
    await job.commit((tx) => effect(tx, job));
    return done;
  };
}

async function effect(tx: Tx, { payload, rootKey, runKey }: Job<Task>): Promise<void> {
  await tx.query(sql`insert into effect (marker, root, run) values (${payload.marker}, ${rootKey}, ${runKey})`);
}

/** Nothing comes back from one that does not die, or dies otherwise. */
type Dying = (job: Job<Task>, directory: string) => Promise<JobOutcome | undefined> | undefined;

const deaths: Record<End, Dying> = {
  succeed: () => undefined,
  exhaust: ({ payload }) => fail(new Error(`no answer for ${payload.marker}`)),
  throw_inside_commit: async (job) => {
    await job.commit(async (tx) => {
      await effect(tx, job);
      throw new Error('half done');
    });
    return done;
  },
  throw_undefined: () => fail(undefined),
  throw_refused_characters: () => fail(new Error(refusedCharacters)),
  throw_huge: () => fail(new Error('x'.repeat(5_000_000))),
  throw_circular: () => fail(circular()),
  permanent: async () => bury(new Error('refused for good')),
  crash: () => {
    process.kill(process.pid, 'SIGKILL');
    return new Promise(() => {});
  },
  stall: ({ payload }, directory) => {
    block(releaseFile(directory, payload.marker));
    return undefined;
  },
};

function fail(thrown: unknown): Promise<never> {
  return Promise.reject(thrown);
}

function circular(): object {
  const self: { self?: object } = {};
  self.self = self;
  return self;
}

const longestBlockMs = 30_000;

/** Blocks the whole process until the file is there: no timer runs, and no lock is renewed. */
function block(file: string): void {
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  const deadline = performance.now() + longestBlockMs;
  while (!existsSync(file) && performance.now() < deadline) Atomics.wait(nothing, 0, 0, 20);
}
