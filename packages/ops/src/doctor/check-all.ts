import { setTimeout as wait } from 'node:timers/promises';
import { databaseFailure } from '../postgres/index.ts';
import { RedisTimeout } from '../redis/index.ts';
import type { ProbeResult } from './contract.ts';
import { type Check, type Found, mostCounted, NotChecked } from './invariant.ts';

export interface CheckOptions {
  /** Since when each is looked at; null for everything. */
  readonly sinceOf: (name: string) => Date | null;
  /** Longest look of one, in ms. */
  readonly eachMs: number;
  /** The same for one that could look at what is new and has to look at everything. */
  readonly wholeMs: number;
  /** Longest look of all together, in ms: those whose turn does not come are not checked. */
  readonly allMs: number;
  readonly signal: AbortSignal;
}

/** Asks one after another, so that together they take one connection. Never throws: what cannot be told is not checked. */
export async function checkAll(checks: readonly Check[], options: CheckOptions): Promise<ProbeResult[]> {
  const endsAt = performance.now() + options.allMs;
  const results: ProbeResult[] = [];
  let away: string | undefined;
  for (const check of checks) {
    const result = away === undefined ? await checkOne(check, options, endsAt) : undecided(check, away);
    // Each further question would wait for the server that is away.
    if (result.reason === postgresAway) away = postgresAway;
    results.push(result);
  }
  return results;
}

const postgresAway = 'Postgres does not answer';

async function checkOne(
  check: Check,
  { sinceOf, eachMs, wholeMs, signal }: CheckOptions,
  endsAt: number,
): Promise<ProbeResult> {
  const begunAt = performance.now();
  const since = check.isWindowed ? sinceOf(check.name) : null;
  const longestMs = check.isWindowed && since === null ? wholeMs : eachMs;
  const timeoutMs = Math.ceil(Math.min(longestMs, endsAt - begunAt));
  if (timeoutMs <= 0) return undecided(check, 'no time was left');
  if (signal.aborted) return undecided(check, 'the look was ended');
  const took = () => Math.round(performance.now() - begunAt);
  try {
    const found = await within(timeoutMs, check.find({ since, timeoutMs, signal }));
    return { ...judged(check, found), since: since?.toISOString() ?? null, ms: took() };
  } catch (error) {
    return { ...undecided(check, reasonOf(error, timeoutMs)), since: since?.toISOString() ?? null, ms: took() };
  }
}

function judged({ name, title, next = 'look at the rows' }: Check, { rows, count }: Found): ProbeResult {
  const isMore = count > mostCounted;
  const holds = count === 0;
  return {
    name,
    title,
    state: holds ? 'ok' : 'breached',
    reason: null,
    rows: [...rows],
    count: isMore ? mostCounted : count,
    count_is_minimum: isMore,
    since: null,
    ms: 0,
    next: holds ? null : next,
  };
}

function undecided({ name, title }: Check, reason: string): ProbeResult {
  const nothing = { rows: [], count: 0, count_is_minimum: false, since: null, ms: 0 };
  return {
    name,
    title,
    state: 'not_checked',
    reason,
    ...nothing,
    next: 'see why it could not be checked, then ask again',
  };
}

/** Statements end by themselves; others, and a server that hangs, are not waited for much longer. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = wait(ms + 1_000, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new NotChecked(`no answer within ${ms} ms`);
  });
  late.catch(() => {});
  work.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}

const cancelled = '57014';

/** By kinds of failure: a text may hold what no operator should read. */
function reasonOf(error: unknown, timeoutMs: number): string {
  if (error instanceof NotChecked) return error.message;
  const { code, name, message } = error as { code?: unknown; name?: string; message?: string };
  if (code === cancelled || name === 'TimeoutError') return `no answer within ${timeoutMs} ms`;
  if (databaseFailure(error) === 'infrastructure') return postgresAway;
  if (error instanceof RedisTimeout || /Connection is closed|max retries|Stream isn't writeable/.test(message ?? ''))
    return 'Redis does not answer';
  if (name === 'MaxRetriesPerRequestError' || code === 'ECONNREFUSED') return 'Redis does not answer';
  return `it failed (${typeof code === 'string' ? code : (name ?? 'unknown')})`;
}
