import { setTimeout as wait } from 'node:timers/promises';
import type { Ground } from '../live/ground.ts';

/** Where an operator sees that something is wrong. */
export type Signal = MetricSignal | ListSignal | ScheduleSignal;

export interface MetricSignal {
  /** As it is exposed: `fmhl_jobs_failed_total`; of a histogram `…_count`, or one of its buckets with the label `le`. */
  readonly metric: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** A counter goes up by at least this. */
  readonly rises?: number;
  /** A gauge is at least this, and no longer so after the remedy. */
  readonly reaches?: number;
  /** A gauge is at most this, and no longer so after the remedy. */
  readonly falls?: number;
  /** What it tells. */
  readonly tells: string;
}

/** A list of the API that holds at least `count` rows, and no longer does after the remedy. */
export interface ListSignal {
  readonly list: string;
  readonly count: number;
  readonly tells: string;
}

/** A schedule of which a run is in this state. */
export interface ScheduleSignal {
  readonly schedule: string;
  readonly state: string;
  readonly tells: string;
}

export interface SignalWatch {
  /** Waits until all of them show. Throws with the first that does not. */
  appear(withinMs: number): Promise<void>;
  /** Waits until none of them shows that could go away. */
  vanish(withinMs: number): Promise<void>;
}

type Reading = (signal: Signal) => number;

/** Notes what the counters say, before anything happens. */
export async function watchSignals(ground: Ground, signals: readonly Signal[]): Promise<SignalWatch> {
  const before = await readingOf(ground, signals);
  const shows = (signal: Signal, now: Reading): boolean => {
    if ('metric' in signal) {
      if (signal.rises !== undefined) return now(signal) - before(signal) >= signal.rises;
      if (signal.falls !== undefined) return now(signal) <= signal.falls;
      return now(signal) >= (signal.reaches ?? 1);
    }
    return now(signal) >= ('count' in signal ? signal.count : 1);
  };
  const settle = async (wanted: boolean, watched: readonly Signal[], withinMs: number) => {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const now = await readingOf(ground, watched);
      const late = watched.find((signal) => shows(signal, now) !== wanted);
      if (!late) return;
      if (performance.now() > deadline) {
        const verdict = wanted ? 'does not show' : 'still shows';
        throw new Error(`within ${withinMs} ms the signal ${verdict}: ${nameOf(late)} reads ${now(late)}`);
      }
      await wait(lookEveryMs);
    }
  };
  return {
    appear: (withinMs) => settle(true, signals, withinMs),
    vanish: (withinMs) => settle(false, signals.filter(passes), withinMs),
  };
}

const lookEveryMs = 200;

/** What was counted stays counted, and a run that was missed stays missed. */
const passes = (signal: Signal): boolean =>
  !('schedule' in signal || ('rises' in signal && signal.rises !== undefined));

export function nameOf(signal: Signal): string {
  if ('list' in signal) return `GET /api/v1${signal.list}`;
  if ('schedule' in signal) return `GET /api/v1/admin/schedules: ${signal.schedule} ${signal.state}`;
  const labels = Object.entries(signal.labels ?? {}).map(([name, value]) => `${name}="${value}"`);
  return labels.length > 0 ? `${signal.metric}{${labels.join(',')}}` : signal.metric;
}

async function readingOf(ground: Ground, signals: readonly Signal[]): Promise<Reading> {
  const series = signals.some((signal) => 'metric' in signal) ? await scrape(ground.url) : [];
  const values = new Map<Signal, number>();
  for (const signal of signals) {
    if ('metric' in signal) values.set(signal, sumOf(series, signal));
    else if ('list' in signal) values.set(signal, await rowsOf(ground, signal));
    else values.set(signal, await runsOf(ground, signal));
  }
  return (signal) => values.get(signal) ?? Number.NaN;
}

interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

async function scrape(url: string): Promise<Series[]> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return [...text.matchAll(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/gm)].map(([, name = '', labels = '', value]) => ({
    name,
    labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, of]) => [key, of])),
    value: Number(value),
  }));
}

/** All label sets that fit, added up. */
function sumOf(series: readonly Series[], { metric, labels = {} }: MetricSignal): number {
  const wanted = Object.entries(labels);
  const fitting = series.filter(
    (one) => one.name === metric && wanted.every(([key, value]) => one.labels[key] === value),
  );
  return fitting.reduce((sum, { value }) => sum + value, 0);
}

async function rowsOf({ operator }: Ground, { list }: ListSignal): Promise<number> {
  const answer = await operator.get<Readonly<Record<'items' | 'entries' | 'jobs', unknown[] | undefined>>>(list);
  return (answer.items ?? answer.entries ?? answer.jobs ?? []).length;
}

async function runsOf({ operator }: Ground, { schedule, state }: ScheduleSignal): Promise<number> {
  const { items } = await operator.get<{ items: { state: string }[] }>(`/admin/schedules/${schedule}/runs?limit=50`);
  return items.filter((run) => run.state === state).length;
}
