import { type CheckFailure, failureOf } from './verdict.ts';

/** What a check may tell beyond answering at all. */
export interface CheckAnswer {
  /** Jobs waiting. Turns the check into the shape of `queue`. */
  depth?: number;
  oldest_age_s?: number;
  /** Reached, but not well: still 200. */
  degraded?: boolean;
  /** Added to the check's fields on `/health`, as information. */
  details?: Record<string, unknown>;
}

/** Resolves when the dependency answers; rejects when it does not. May hang: it is given up after the timeout. */
export type Check = () => Promise<CheckAnswer | void>;

export type CheckStatus = 'up' | 'degraded' | 'down';

export interface CheckResult {
  status: CheckStatus;
  latencyMs: number;
  answer: CheckAnswer;
  error?: CheckFailure;
}

export interface CheckerOptions {
  check: Check;
  timeoutMs: number;
  cacheMs: number;
  now: () => number;
  onResult: (result: CheckResult) => void;
}

// A call that never settles is given up for good after this many timeouts, so that recovery is seen; until then later
// runs wait for it instead of piling up more calls on a dependency that hangs.
const patience = 3;

/**
 * Makes the cached form of one check: simultaneous callers share a run, results serve `cacheMs`. A result older than a
 * quarter of that is renewed behind the answer, so that a steadily polled probe sees a stop well within two seconds.
 */
export function createChecker(options: CheckerOptions): () => Promise<CheckResult> {
  const { timeoutMs, cacheMs, now } = options;
  let last: { result: CheckResult; at: number } | undefined;
  let running: Promise<CheckResult> | undefined;
  let call: { answer: Promise<CheckAnswer | void>; startedAt: number } | undefined;

  function begin() {
    if (call && now() - call.startedAt < patience * timeoutMs) return call.answer;
    const started = { answer: (async () => options.check())(), startedAt: now() };
    call = started;
    const settle = () => {
      if (call === started) call = undefined;
    };
    started.answer.then(settle, settle);
    return started.answer;
  }

  async function run(): Promise<CheckResult> {
    const startedAt = now();
    const answer = await within(timeoutMs, begin()).catch((error: unknown) => ({ error: failureOf(error) }));
    const result = resultOf(answer ?? {}, Math.round(now() - startedAt));
    last = { result, at: now() };
    options.onResult(result);
    return result;
  }

  function renew() {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  }

  return async () => {
    const age = last ? now() - last.at : Number.POSITIVE_INFINITY;
    if (!last || age >= cacheMs) return renew();
    if (age >= cacheMs / 4) void renew();
    return last.result;
  };
}

function resultOf(answer: CheckAnswer | { error: CheckFailure }, latencyMs: number): CheckResult {
  if ('error' in answer) return { status: 'down', latencyMs, answer: {}, error: answer.error };
  return { status: answer.degraded ? 'degraded' : 'up', latencyMs, answer };
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })), ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
