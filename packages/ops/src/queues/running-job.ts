import type { Failpoint } from '../failpoints/index.ts';
import type { Database, Tx } from '../postgres/index.ts';
import { commitWithVerdict } from './commit.ts';
import type { Deadline } from './deadlines.ts';
import type { Envelope } from './envelope.ts';
import type { Job } from './handler.ts';
import type { Begun } from './run-writer.ts';

/** What an attempt is made of. */
export interface RunningJobParts {
  readonly queue: string;
  readonly kind: string;
  readonly payload: unknown;
  readonly envelope: Envelope;
  readonly begun: Begun;
  readonly deadline: Deadline;
  readonly db: Database;
  readonly failpoint: Failpoint;
}

/** The job as its handler sees it. A class, so that a short job pays for one object. */
export class RunningJob implements Job {
  readonly #parts: RunningJobParts;
  /** The effect and the verdict are committed. */
  committed = false;

  constructor(parts: RunningJobParts) {
    this.#parts = parts;
  }

  get queue() {
    return this.#parts.queue;
  }

  get kind() {
    return this.#parts.kind;
  }

  get payload() {
    return this.#parts.payload;
  }

  get runKey() {
    return this.#parts.envelope.run;
  }

  get rootKey() {
    return this.#parts.envelope.root;
  }

  get attempt() {
    return this.#parts.begun.started;
  }

  get maxAttempts() {
    return this.#parts.begun.maxAttempts;
  }

  get signal() {
    return this.#parts.deadline.signal;
  }

  async commit<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.committed) throw new TypeError('commit was called twice in one attempt');
    const { db, failpoint, begun, envelope } = this.#parts;
    const result = await commitWithVerdict(work, { db, failpoint, runKey: envelope.run, started: begun.started });
    this.committed = true;
    await failpoint('worker.after_commit');
    return result;
  }
}
