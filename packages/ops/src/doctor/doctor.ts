import type { Logger } from '../logging/index.ts';
import { checkAll } from './check-all.ts';
import type { DoctorReport, ProbeResult } from './contract.ts';
import { type Check, checkOf, type Invariant } from './invariant.ts';
import { jobInvariants } from './job-invariants.ts';
import { letterInvariants } from './letter-invariants.ts';
import { lookAtParts, type Part, type PartDeps, planeParts } from './parts.ts';
import { auditCheck, captureCheck, platformInvariants } from './platform-checks.ts';
import { type RedisCheckDeps, redisChecks } from './redis-checks.ts';
import { scheduleInvariants } from '../schedules/index.ts';
import { sinceOf } from './scope.ts';
import { hasFullLook, readLastLook, saveLook } from './store.ts';

export interface DoctorDeps extends PartDeps, RedisCheckDeps {
  readonly log: Logger;
  /** Of the host; their names are none of the plane's. */
  readonly invariants: readonly Invariant[];
  readonly parts: readonly Part[];
  readonly now?: () => Date;
}

export interface LookRequest {
  /** Look at everything. Default: at what changed since the last scheduled look that found all well. */
  readonly full?: boolean;
  /** Names of probes. Default all. */
  readonly only?: readonly string[];
  /** Whether to look at the parts too. Default true, without `only`. */
  readonly parts?: boolean;
  /** Longest look of all probes together, in ms. Default 20,000. */
  readonly withinMs?: number;
  readonly signal?: AbortSignal;
}

/** What a scheduled look did. */
export interface InvariantCounts {
  readonly checked: number;
  readonly breached: number;
  readonly not_checked: number;
  /** 1 when everything was looked at. */
  readonly full: number;
}

export interface Doctor {
  /** Every probe, in the order of a report. */
  readonly checks: readonly Check[];
  /** Looks now. Never throws: what cannot be asked is not checked. */
  look(request?: LookRequest): Promise<DoctorReport>;
  /** Looks on schedule, stores what was found, and logs what is broken. Throws when Postgres is away. */
  runInvariants(options?: { readonly signal?: AbortSignal; readonly log?: Logger }): Promise<InvariantCounts>;
}

/** One that can be asked how the system is. Runs nothing by itself. */
export function openDoctor(deps: DoctorDeps): Doctor {
  const { db, log, now = () => new Date() } = deps;
  const checks = allChecks(deps);
  return {
    checks,
    async look(request = {}) {
      const { full = false, only, parts: withParts = !only, withinMs = 20_000, signal = unended() } = request;
      const begunAt = performance.now();
      const at = now();
      const last = full ? undefined : await readLastLook(db).catch(() => undefined);
      const asked = only ? checks.filter(({ name }) => only.includes(name)) : checks;
      const limits = { eachMs: full ? withinMs : longest.oneMs, wholeMs: withinMs, allMs: withinMs };
      const [probes, parts] = await Promise.all([
        checkAll(asked, { sinceOf: (name) => sinceOf(name, last), ...limits, signal }),
        withParts && !only ? lookAtParts([...planeParts(deps), ...deps.parts]) : [],
      ]);
      const sound =
        probes.every(({ state }) => state === 'ok') &&
        !parts.some(({ state }) => state === 'bad' || state === 'unknown');
      const ms = Math.round(performance.now() - begunAt);
      return {
        ok: sound,
        checked_at: at.toISOString(),
        full: probes.every(({ since, state }) => since === null && state !== 'not_checked'),
        ms,
        probes,
        parts,
      };
    },
    async runInvariants({ signal = unended(), log: told = log } = {}) {
      const begunAt = now();
      const isFull = !(await hasFullLook(db, fullEveryMs));
      const last = isFull ? undefined : await readLastLook(db);
      const limits = { eachMs: longest.oneMs, wholeMs: longest.wholeMs, allMs: longest.allMs };
      const probes = await checkAll(checks, { sinceOf: (name) => sinceOf(name, last), ...limits, signal });
      await saveLook(db, { begunAt, isFull, probes });
      tell(told, probes);
      const count = (state: ProbeResult['state']) => probes.filter((probe) => probe.state === state).length;
      return {
        checked: probes.length - count('not_checked'),
        breached: count('breached'),
        not_checked: count('not_checked'),
        full: Number(isFull),
      };
    },
  };
}

const unended = (): AbortSignal => new AbortController().signal;

/** Longest looks of one probe at what changed, of one at everything, and of all together, in ms. */
const longest = { oneMs: 5_000, wholeMs: 60_000, allMs: 300_000 } as const;
const fullEveryMs = 24 * 3_600_000;

function allChecks(deps: DoctorDeps): readonly Check[] {
  const ask = (invariants: readonly Invariant[]) => invariants.map((one) => checkOf(deps.db, one));
  const checks = [
    ...ask(deps.invariants),
    ...ask(jobInvariants),
    ...ask(letterInvariants),
    captureCheck(deps),
    ...ask(scheduleInvariants),
    ...redisChecks(deps),
    auditCheck(deps.db, { keys: deps.auditKeys, anchors: deps.anchors }),
    ...ask(platformInvariants()),
  ];
  const names = checks.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new TypeError(`two invariants are called "${twice}"`);
  return checks;
}

/** The line names the first rows: they are ids. */
function tell(log: Logger, probes: readonly ProbeResult[]): void {
  for (const { name, state, count, rows, reason } of probes) {
    if (state === 'breached')
      log.error('invariant_breached', new Error(`${name} is broken`), {
        invariant: name,
        count,
        rows: rows.slice(0, 5),
      });
    if (state === 'not_checked') log.warn('invariant_not_checked', { invariant: name, reason });
  }
}
