import { setTimeout as wait } from 'node:timers/promises';
import type { Ground } from '../live/ground.ts';

/** Where an operator sees that something is wrong. */
export type Signal = MetricSignal | ListSignal;

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

/** A list of the API: how many of its rows there are, or what one of them says. No longer so after the remedy. */
export interface ListSignal {
  /** With `{start}` for the time before the fault. */
  readonly list: string;
  /** Only rows of which this is so. */
  readonly where?: Readonly<Record<string, string | number | boolean>>;
  /** At least so many. */
  readonly count?: number;
  /** Or: this field of the first is a number below `below`. */
  readonly field?: string;
  readonly below?: number;
  readonly tells: string;
}

export interface SignalWatch {
  /** Waits until each of them has shown itself. Throws with the first that does not. */
  appear(withinMs: number): Promise<void>;
  /** Waits until none of them shows that could go away. */
  vanish(withinMs: number): Promise<void>;
}

type Reading = (signal: Signal) => number;

/** Notes what the counters say, before anything happens. */
export async function watchSignals(ground: Ground, signals: readonly Signal[]): Promise<SignalWatch> {
  const startedAt = new Date();
  const before = await readingOf(ground, signals, startedAt);
  const shows = (signal: Signal, now: Reading): boolean => {
    if ('list' in signal)
      return signal.below === undefined ? now(signal) >= (signal.count ?? 1) : now(signal) < signal.below;
    if (signal.rises !== undefined) return now(signal) - before(signal) >= signal.rises;
    return signal.falls === undefined ? now(signal) >= (signal.reaches ?? 1) : now(signal) <= signal.falls;
  };
  const settle = async (wanted: boolean, watched: readonly Signal[], withinMs: number) => {
    const deadline = performance.now() + withinMs;
    let left = watched;
    for (;;) {
      // Each shows in its own moment; gone is what is gone at once.
      const asked = wanted ? left : watched;
      const now = await readingOf(ground, asked, startedAt);
      left = asked.filter((signal) => shows(signal, now) !== wanted);
      const [late] = left;
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

/** What was counted stays counted. */
const passes = (signal: Signal): boolean => 'list' in signal || signal.rises === undefined;

export function nameOf(signal: Signal): string {
  if ('list' in signal) return `GET /api/v1${signal.list}`;
  const labels = Object.entries(signal.labels ?? {}).map(([name, value]) => `${name}="${value}"`);
  return labels.length > 0 ? `${signal.metric}{${labels.join(',')}}` : signal.metric;
}

async function readingOf(ground: Ground, signals: readonly Signal[], startedAt: Date): Promise<Reading> {
  const series = signals.some((signal) => 'metric' in signal) ? await scrape(ground.url) : [];
  const values = new Map<Signal, number>();
  for (const signal of signals) {
    values.set(signal, 'metric' in signal ? sumOf(series, signal) : await readList(ground, signal, startedAt));
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

type Row = Readonly<Record<string, unknown>>;

/** How many rows fit, or the field of the first that does. */
async function readList(
  { operator }: Ground,
  { list, where = {}, field }: ListSignal,
  startedAt: Date,
): Promise<number> {
  const path = list.replace('{start}', encodeURIComponent(startedAt.toISOString()));
  const answer = await operator.get<Readonly<Record<'items' | 'entries' | 'jobs', Row[] | undefined>>>(path);
  const rows = answer.items ?? answer.entries ?? answer.jobs ?? [];
  const fitting = rows.filter((row) => Object.entries(where).every(([key, value]) => row[key] === value));
  return field === undefined ? fitting.length : Number(fitting[0]?.[field] ?? Number.NaN);
}
