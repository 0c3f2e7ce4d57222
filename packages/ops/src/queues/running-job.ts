import type { Tx } from '../postgres/index.ts';
import type { Attempt } from './attempt.ts';
import { commitWithVerdict } from './commit.ts';
import type { Deadline } from './deadlines.ts';
import type { Job } from './handler.ts';

/** The job as its handler sees it. A class, so that a short job pays for one object. */
export class RunningJob implements Job {
  readonly #attempt: Attempt;
  readonly #deadline: Deadline;
  readonly payload: unknown;
  /** The effect and the verdict are committed. */
  committed = false;

  constructor(attempt: Attempt, payload: unknown, deadline: Deadline) {
    this.#attempt = attempt;
    this.payload = payload;
    this.#deadline = deadline;
  }

  get queue() {
    return this.#attempt.queue.name;
  }

  get kind() {
    return this.#attempt.job.name;
  }

  get runKey() {
    return this.#attempt.envelope.run;
  }

  get rootKey() {
    return this.#attempt.envelope.root;
  }

  get attempt() {
    return this.#attempt.begun.started;
  }

  get maxAttempts() {
    return this.#attempt.begun.maxAttempts;
  }

  get signal() {
    return this.#deadline.signal;
  }

  async commit<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.committed) throw new TypeError('commit was called twice in one attempt');
    const { deps, begun, envelope } = this.#attempt;
    const { db, failpoint } = deps;
    const result = await commitWithVerdict(work, { db, failpoint, runKey: envelope.run, started: begun.started });
    this.committed = true;
    await failpoint('worker.after_commit');
    return result;
  }
}
