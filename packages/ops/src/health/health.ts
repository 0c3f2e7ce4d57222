import type { Metrics } from '../metrics/index.ts';
import { type Check, type CheckResult, type CheckStatus, createChecker } from './checker.ts';
import type { CheckFailure } from './verdict.ts';

/** One check in a body. `queue` has `depth` in place of `latency_ms` while it can be reached. */
export interface CheckBody {
  status: CheckStatus;
  latency_ms?: number;
  depth?: number;
  oldest_age_s?: number;
  error?: CheckFailure;
  [detail: string]: unknown;
}

export interface HealthBody {
  status: 'healthy' | 'degraded' | 'unhealthy' | 'starting' | 'shutting_down';
  checks: Record<string, CheckBody>;
}

export interface HealthAnswer<Body = HealthBody> {
  code: 200 | 503;
  body: Body;
}

export interface HealthChange {
  check: string;
  from: CheckStatus | 'unknown';
  to: CheckStatus;
  error?: CheckFailure;
}

export interface HealthOptions {
  /** By name; the contract's are `database`, `redis` and `queue`. */
  checks: Readonly<Record<string, Check>>;
  /** Longest wait for one check, in ms. Default 1,000. */
  timeoutMs?: number;
  /** Oldest result answered from, in ms. Default 2,000. */
  cacheMs?: number;
  /** Monotonic milliseconds. Default `performance.now`. */
  now?: () => number;
  /** Told when a check changes; of the first result only if it is not up. */
  onChange?: (change: HealthChange) => void;
  /** Sets `health_check_up` and `health_check_latency_ms` on scrape. */
  metrics?: Metrics;
}

/** Health of a process. No answer takes longer than the timeout of a check, and none rejects. */
export interface Health {
  /** Restart me? Always 200, whatever the dependencies do. */
  live(): HealthAnswer<{ status: 'alive'; uptime_s: number }>;
  /** Is everything there? `details` adds what checks tell as information. */
  ready(options?: { details?: boolean }): Promise<HealthAnswer>;
  /** Send me traffic? Looks only at the checks in `needs`. */
  serving(needs: readonly string[]): Promise<HealthAnswer>;
  /** Until called, `ready` and `serving` answer 503 `starting`. */
  markStarted(): void;
  /** From now on `ready` and `serving` answer 503 `shutting_down`. */
  markDraining(): void;
  /** True after `markDraining`. */
  isDraining(): boolean;
}

/** Makes the health of a process, in state `starting`. Runs nothing by itself: checks run when asked. */
export function createHealth(options: HealthOptions): Health {
  const { timeoutMs = 1_000, cacheMs = 2_000, now = () => performance.now() } = options;
  const startedAt = now();
  let phase: 'starting' | 'running' | 'shutting_down' = 'starting';
  const names = Object.keys(options.checks);
  const checkers = new Map(
    Object.entries(options.checks).map(([name, check]) => {
      const onResult = announceChanges(name, options.onChange);
      return [name, createChecker({ check, timeoutMs, cacheMs, now, onResult })] as const;
    }),
  );

  async function results(wanted: readonly string[]): Promise<[string, CheckResult][]> {
    const known = wanted.flatMap((name) => {
      const checker = checkers.get(name);
      return checker ? [checker().then((result): [string, CheckResult] => [name, result])] : [];
    });
    return Promise.all(known);
  }

  async function answer(wanted: readonly string[], details: boolean): Promise<HealthAnswer> {
    if (phase === 'running') {
      const found = await results(wanted);
      // Draining may have begun while the checks ran.
      if (phase === 'running') return judge(found, details);
    }
    return { code: 503, body: { status: phase === 'starting' ? 'starting' : 'shutting_down', checks: {} } };
  }

  if (options.metrics) exposeChecks(options.metrics, () => results(names), timeoutMs);
  return {
    live: () => ({ code: 200, body: { status: 'alive', uptime_s: Math.floor((now() - startedAt) / 1000) } }),
    ready: ({ details = false } = {}) => answer(names, details),
    serving: (needs) => answer(needs, false),
    markStarted() {
      if (phase === 'starting') phase = 'running';
    },
    markDraining() {
      phase = 'shutting_down';
    },
    isDraining: () => phase === 'shutting_down',
  };
}

function judge(results: readonly [string, CheckResult][], details: boolean): HealthAnswer {
  const checks = Object.fromEntries(results.map(([name, result]) => [name, bodyOf(result, details)]));
  const statuses = results.map(([, { status }]) => status);
  if (statuses.includes('down')) return { code: 503, body: { status: 'unhealthy', checks } };
  return { code: 200, body: { status: statuses.includes('degraded') ? 'degraded' : 'healthy', checks } };
}

function bodyOf({ status, latencyMs, answer, error }: CheckResult, details: boolean): CheckBody {
  if (status === 'down') return { status, latency_ms: latencyMs, error };
  const extra = details ? answer.details : undefined;
  if (answer.depth === undefined) return { status, latency_ms: latencyMs, ...extra };
  const age = status === 'degraded' ? { oldest_age_s: answer.oldest_age_s } : {};
  return { status, depth: answer.depth, ...age, ...extra };
}

function announceChanges(check: string, onChange: HealthOptions['onChange']) {
  let from: CheckStatus | 'unknown' = 'unknown';
  return ({ status: to, error }: CheckResult) => {
    const changed = to !== from && !(from === 'unknown' && to === 'up');
    const change: HealthChange = { check, from, to, ...(error && { error }) };
    from = to;
    try {
      if (changed) onChange?.(change);
    } catch {
      // Telling is the host's; its failure must not turn a check down.
    }
  };
}

function exposeChecks(metrics: Metrics, results: () => Promise<[string, CheckResult][]>, timeoutMs: number) {
  metrics.collect({
    name: 'health',
    gauges: ['health_check_up', 'health_check_latency_ms'],
    // The checks have their own timeout and cache; the collector must not give up first.
    timeoutMs: timeoutMs + 400,
    cacheMs: 0,
    read: async () =>
      (await results()).flatMap(([check, { status, latencyMs }]) => [
        { metric: 'health_check_up' as const, labels: { check }, value: status === 'down' ? 0 : 1 },
        { metric: 'health_check_latency_ms' as const, labels: { check }, value: latencyMs },
      ]),
  });
}
