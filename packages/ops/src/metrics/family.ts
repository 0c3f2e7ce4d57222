import { bucketsOf, type LabelDomain, type MetricDefinition } from './definition.ts';
import { BucketSeries, CountingSeries, type Series, ValueSeries } from './instruments.ts';

const defaultMaxLabelSets = 200;

export interface FamilyOptions {
  queues: readonly string[];
  thresholds?: readonly number[];
}

/** All series of one metric. */
export class Family {
  readonly definition: MetricDefinition;
  readonly labelNames: readonly string[];
  readonly series = new Map<string, { labels: readonly string[]; series: Series }>();
  readonly #domains: readonly (ReadonlySet<string> | undefined)[];
  readonly #edges: readonly number[];

  constructor(definition: MetricDefinition, { queues, thresholds }: FamilyOptions) {
    this.definition = definition;
    const domains = Object.entries<LabelDomain>(definition.labels ?? {});
    this.labelNames = domains.map(([name]) => name);
    this.#domains = domains.map(([, domain]) => closedValues(domain, queues));
    this.#edges = definition.type === 'histogram' ? bucketsOf(definition, thresholds) : [];
    this.#initialise();
  }

  /** The series of these labels. Values outside a closed set become `other`, so do open ones beyond the limit. */
  labels(values: Readonly<Record<string, string>>): Series {
    const row = this.#rowOf(values);
    return this.#at(row) ?? this.#create(this.#withinLimit(row));
  }

  /** The series of these labels if it exists. */
  find(values: Readonly<Record<string, string>>): Series | undefined {
    return this.#at(this.#rowOf(values));
  }

  /** Takes every series out of the exposition. Handed out children of gauges stay usable. */
  clear() {
    for (const { series } of this.series.values()) {
      if (series instanceof ValueSeries) series.remove();
      else if (series instanceof CountingSeries) series.value = undefined;
    }
  }

  /** Sets an absolute value, also of a counter that mirrors shared state. */
  assign(labels: Readonly<Record<string, string>>, value: number) {
    const series = this.labels(labels);
    if (!(series instanceof BucketSeries)) series.value = value;
  }

  #rowOf(values: Readonly<Record<string, string>>): string[] {
    return this.labelNames.map((name, index) => {
      const value = String(values[name] ?? '');
      const domain = this.#domains[index];
      return domain && !domain.has(value) ? 'other' : value;
    });
  }

  #at(row: readonly string[]): Series | undefined {
    return this.series.get(row.join('\u0000'))?.series;
  }

  #withinLimit(row: readonly string[]): readonly string[] {
    if (this.series.size < (this.definition.maxLabelSets ?? defaultMaxLabelSets)) return row;
    return row.map((value, index) => (this.#domains[index] ? value : 'other'));
  }

  #create(row: readonly string[]): Series {
    const existing = this.#at(row);
    if (existing) return existing;
    const series = this.#newSeries();
    this.series.set(row.join('\u0000'), { labels: row, series });
    return series;
  }

  #newSeries(): Series {
    const { type, aggregation } = this.definition;
    if (type === 'histogram') return new BucketSeries(this.#edges);
    if (type === 'gauge') return new ValueSeries();
    return new CountingSeries(aggregation === 'S' ? undefined : 0);
  }

  /** A series born at 1 shows no increase: every known label set of a flow starts at 0. */
  #initialise() {
    if (this.definition.type === 'gauge' || this.definition.aggregation === 'S') return;
    let rows: string[][] = [[]];
    for (const domain of this.#domains) {
      if (!domain) return;
      rows = rows.flatMap((row) => [...domain].map((value) => [...row, value]));
    }
    for (const row of rows) this.#create(row);
  }
}

function closedValues(domain: LabelDomain, queues: readonly string[]): ReadonlySet<string> | undefined {
  if (domain === 'open') return undefined;
  return new Set(domain === 'queues' ? queues : domain);
}
