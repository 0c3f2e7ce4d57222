import type { OpsCatalogue } from './catalogue.ts';
import { createCollector } from './collectors.ts';
import type { Catalogue, MetricDefinition } from './definition.ts';
import { exposeFamily } from './exposition.ts';
import { Family } from './family.ts';
import {
  BucketSeries,
  type CounterSeries,
  type GaugeSeries,
  type HistogramSeries,
  silentSeries,
} from './instruments.ts';
import { openRuntimeMetrics } from './runtime.ts';

type KeysOfType<C extends Catalogue, T> = { [K in keyof C]: C[K]['type'] extends T ? K : never }[keyof C] & string;
/** What a collector may set: gauges, and counters that mirror shared state. */
export type CollectedKey<C extends Catalogue> = {
  [K in keyof C]: C[K]['type'] extends 'gauge' ? K : C[K]['aggregation'] extends 'S' ? K : never;
}[keyof C] &
  string;

type LabelsOf<D extends MetricDefinition> = D extends { readonly labels: infer L }
  ? { readonly [N in keyof L]: string }
  : never;

/** Without labels the series itself; with labels the way to bind one. Bind outside of hot paths. */
export type Instrument<D extends MetricDefinition, S> = [LabelsOf<D>] extends [never]
  ? S
  : { labels(values: LabelsOf<D>): S };

export interface Reading<Key extends string = string> {
  metric: Key;
  labels?: Readonly<Record<string, string>>;
  value: number;
}

export interface Collection<Key extends string> {
  /** Label of `metrics_collect_errors_total`. */
  name: string;
  /** Every metric this collector sets. Their series are replaced by each read and removed when it fails. */
  gauges: readonly Key[];
  read: () => Promise<readonly Reading<Key>[]>;
  /** Longest read, in ms. Default 1,000. */
  timeoutMs?: number;
  /** How long a read serves later scrapes, in ms. Default 5,000. */
  cacheMs?: number;
}

/** The metrics of a process, by catalogue key (the name without prefix). */
export interface Metrics<C extends Catalogue = OpsCatalogue> {
  /** False: instruments do nothing, and there is nothing to expose. */
  readonly enabled: boolean;
  readonly catalogue: C;
  counter<K extends KeysOfType<C, 'counter'>>(key: K): Instrument<C[K], CounterSeries>;
  gauge<K extends KeysOfType<C, 'gauge'>>(key: K): Instrument<C[K], GaugeSeries>;
  histogram<K extends KeysOfType<C, 'histogram'>>(key: K): Instrument<C[K], HistogramSeries>;
  /** Registers a reader that runs on scrape. Call at start. */
  collect<K extends CollectedKey<C>>(collection: Collection<K>): void;
  /** The value of one series now, for tests and screens: of a histogram its count. `undefined` when not exposed. */
  value(key: keyof C & string, labels?: Readonly<Record<string, string>>): number | undefined;
  /** The exposition. Never rejects; takes as long as the slowest collector, at most its timeout. */
  render(): Promise<string>;
  readonly contentType: string;
}

export interface MetricsOptions<C extends Catalogue> {
  enabled: boolean;
  catalogue: C;
  /** Canonical queue names: the values of labels declared `queues`. */
  queues: readonly string[];
  version: string;
  commit: string;
  /** Configured alert thresholds of histograms, by key; each becomes a bucket edge. */
  thresholds?: { readonly [K in keyof C]?: readonly number[] };
  /** Told of each failed collector run. */
  onCollectorFailure?: (collector: string, error: unknown) => void;
  /** Milliseconds, for the caches. Default `performance.now`. */
  now?: () => number;
}

const contentType = 'text/plain; version=0.0.4; charset=utf-8';

/** Makes the metrics of a process. The catalogue is the library's, or it and the host's: `{ ...opsCatalogue(), ...mine }`. */
export function createMetrics<C extends Catalogue>(options: MetricsOptions<C>): Metrics<C> {
  if (!options.enabled) return disabledMetrics(options.catalogue);
  const families = openFamilies(options);
  const runtime = openRuntimeMetrics();
  const refreshes: (() => Promise<void>)[] = [];
  const family = (key: string) => {
    const found = families.get(key);
    if (!found) throw new Error(`metric ${key} is not in the catalogue`);
    return found;
  };
  const { version, commit, now = () => performance.now() } = options;
  families.get('build_info')?.assign({ version, commit }, 1);

  return {
    enabled: true,
    catalogue: options.catalogue,
    contentType,
    counter: (key) => instrumentOf(family(key)),
    gauge: (key) => instrumentOf(family(key)),
    histogram: (key) => instrumentOf(family(key)),
    collect({ name, gauges, read, timeoutMs = 1_000, cacheMs = 5_000 }) {
      const errors = families.get('metrics_collect_errors_total')?.labels({ collector: name }) as
        | CounterSeries
        | undefined;
      const withdraw = () => {
        for (const key of gauges) family(key).clear();
      };
      const publish = (readings: readonly Reading[]) => {
        withdraw();
        for (const { metric, labels = {}, value } of readings) family(metric).assign(labels, value);
      };
      const onFailure = (error: unknown) => {
        errors?.inc();
        options.onCollectorFailure?.(name, error);
      };
      refreshes.push(createCollector({ read, publish, withdraw, onFailure, timeoutMs, cacheMs, now }));
    },
    value(key, labels = {}) {
      const series = family(key).find(labels);
      return series instanceof BucketSeries ? series.counts.reduce((sum, count) => sum + count, 0) : series?.value;
    },
    async render() {
      await Promise.all(refreshes.map((refresh) => refresh()));
      return `${[...families.values()].map(exposeFamily).join('')}${await runtime()}`;
    },
  };
}

function openFamilies<C extends Catalogue>({ catalogue, queues, thresholds }: MetricsOptions<C>): Map<string, Family> {
  const families = new Map<string, Family>();
  const names = new Set<string>();
  for (const [key, definition] of Object.entries<MetricDefinition>(catalogue)) {
    if (names.has(definition.name)) throw new Error(`metric ${definition.name} is declared twice`);
    names.add(definition.name);
    families.set(key, new Family(definition, { queues, thresholds: thresholds?.[key] }));
  }
  return families;
}

// The types of the three getters say which series comes out; the family decided it from the same definition.
function instrumentOf<D extends MetricDefinition, S>(family: Family): Instrument<D, S> {
  return (family.labelNames.length === 0 ? family.labels({}) : family) as Instrument<D, S>;
}

function disabledMetrics<C extends Catalogue>(catalogue: C): Metrics<C> {
  const silent = <D extends MetricDefinition, S>(key: string) => {
    const labelled = Object.keys(catalogue[key]?.labels ?? {}).length > 0;
    return (labelled ? { labels: () => silentSeries } : silentSeries) as Instrument<D, S>;
  };
  return {
    enabled: false,
    catalogue,
    contentType,
    counter: (key) => silent(key),
    gauge: (key) => silent(key),
    histogram: (key) => silent(key),
    collect() {},
    value: () => undefined,
    render: () => Promise.resolve(''),
  };
}
