import { AsyncLocalStorage } from 'node:async_hooks';

/** What follows a piece of work through calls, awaits and timers. */
export interface LogContext {
  readonly correlationId: string;
  /** The request's own id where it works under another correlation; written as `metadata.request_id`. */
  readonly requestId?: string;
  /** W3C `traceparent`, stored and forwarded. */
  readonly traceparent?: string;
  /** Id of the event or job that caused this work. */
  readonly causationId?: string;
  /** Set by tracing only; written as `trace_id` and `span_id`. */
  readonly traceId?: string;
  readonly spanId?: string;
}

/** The context of one request or job from its beginning to its last log line. */
export class RunningContext {
  #current: LogContext;

  /** Takes the object over, and freezes it. */
  constructor(context: LogContext) {
    this.#current = Object.freeze(context);
  }

  /** Frozen: what reads it can neither change it nor leak fields of one line into the next. */
  get current(): LogContext {
    return this.#current;
  }

  /** Runs `work` in this context and returns what it returned. May be entered several times. */
  run<T>(work: () => T): T {
    return storage.run(this, work);
  }

  /** From now on the work goes on under `correlationId`; the id it had so far becomes its request id. */
  adopt(correlationId: string): void {
    const { correlationId: own, requestId = own } = this.#current;
    if (correlationId !== own) this.#current = Object.freeze({ ...this.#current, correlationId, requestId });
  }
}

const storage = new AsyncLocalStorage<RunningContext>();

/** Runs `work` under `context` and returns what it returned. The context is copied: later changes to it are not seen. */
export function runWithContext<T>(context: LogContext, work: () => T): T {
  return new RunningContext({ ...context }).run(work);
}

/** The context of the running work, frozen; `undefined` outside any request or job. */
export function currentContext(): LogContext | undefined {
  return storage.getStore()?.current;
}

/**
 * Goes on under the correlation id of an older piece of work, such as that of the lead which a request approves.
 * All later log lines, rows and jobs of the running request carry it. Does nothing outside a context.
 */
export function adoptCorrelation(correlationId: string): void {
  storage.getStore()?.adopt(correlationId);
}

/** `text` when it may serve as a correlation id (8–64 of `A–Z a–z 0–9 _ -`), else `undefined`. */
export function acceptCorrelationId(text: unknown): string | undefined {
  return typeof text === 'string' && /^[A-Za-z0-9_-]{8,64}$/.test(text) ? text : undefined;
}
