/**
 * Values a label may take: a closed list, `queues` (the queues this process knows, given at creation), or `open` for a set
 * that code bounds but cannot list here (route templates). Never ids, addresses, URLs or texts.
 */
export type LabelDomain = readonly string[] | 'queues' | 'open';

/** `F` flow: own work, `sum(rate())`. `S` stock: shared state, `max by`. `I` state of one process. */
export type Aggregation = 'F' | 'S' | 'I';

/** One metric as declared. The key in the catalogue is its name without the prefix. */
export interface MetricEntry {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Default none. */
  readonly labels?: Readonly<Record<string, LabelDomain>>;
  /** What a value counts or measures: `jobs`, `ms`, `seconds`, `bytes`, … */
  readonly unit: string;
  readonly aggregation: Aggregation;
  /** Who sets it, and when. */
  readonly reporter: string;
  /** Histograms: edges, ascending. Default {@link durationBuckets}. */
  readonly buckets?: readonly number[];
  /** Histograms: alert thresholds and SLO edges, each of which becomes an edge. */
  readonly thresholds?: readonly number[];
  /** True for the few names that carry no prefix. */
  readonly unprefixed?: true;
  /** Most label sets before open labels become `other`. Default 200. */
  readonly maxLabelSets?: number;
}

export type MetricDefinition = MetricEntry & { readonly name: string };
export type Catalogue = Readonly<Record<string, MetricDefinition>>;

/** Edges in ms for requests, queries and operations. The client's own defaults are seconds and would bury every ms value. */
export const durationBuckets = [5, 10, 25, 50, 100, 250, 500, 1000, 2000, 2500, 5000, 10_000, 30_000] as const;
/** Edges in ms for jobs and their waits. */
export const jobBuckets = [...durationBuckets, 60_000, 300_000] as const;

const metricName = /^[a-z][a-z0-9_]*$/;

/**
 * Declares metrics: gives each its full name, `prefix` + key. Throws on a name Prometheus would refuse or mislead with:
 * bad characters, a counter without `_total`, a gauge or histogram with it.
 */
export function defineMetrics<const T extends Readonly<Record<string, MetricEntry>>>(prefix: string, entries: T) {
  const named = Object.entries<MetricEntry>(entries).map(([key, entry]) => {
    const name = entry.unprefixed ? key : `${prefix}${key}`;
    if (!metricName.test(name)) throw new Error(`metric name ${name} is not snake_case`);
    if (name.endsWith('_total') !== (entry.type === 'counter'))
      throw new Error(`${name}: counters, and only they, end in _total`);
    return [key, { ...entry, name }] as const;
  });
  return Object.fromEntries(named) as { readonly [K in keyof T]: T[K] & { readonly name: string } };
}

/**
 * Edges of a histogram: its own, every threshold (declared or configured), and one at 5 × the highest threshold if needed,
 * so that a quantile beyond the threshold is still read inside the buckets.
 */
export function bucketsOf(entry: MetricEntry, configured: readonly number[] = []): number[] {
  const thresholds = [...(entry.thresholds ?? []), ...configured];
  const edges = new Set([...(entry.buckets ?? durationBuckets), ...thresholds]);
  const top = Math.max(...edges);
  const wanted = 5 * Math.max(0, ...thresholds);
  if (top < wanted) edges.add(wanted);
  return [...edges].sort((a, b) => a - b);
}
