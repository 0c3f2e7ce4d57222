import { catalogue } from '../../apps/marketplace/src/metrics.ts';

export type MetricKey = keyof typeof catalogue;
export type Labels = Readonly<Record<string, string>>;

/** One label set of a catalogued metric; of a histogram the number of its observations. */
export interface Sample {
  readonly metric: MetricKey;
  readonly labels: Labels;
  readonly value: number;
}

/** What one process exposes. */
export interface Exposition {
  readonly samples: readonly Sample[];
  /** Every exposed series, buckets and those of Node included, as `name{labels}`. */
  readonly series: readonly string[];
}

/** Key of a metric by the name under which its value is exposed. */
const keys = new Map<string, MetricKey>(
  Object.entries(catalogue).map(([key, { name, type }]) => [
    type === 'histogram' ? `${name}_count` : name,
    key as MetricKey,
  ]),
);

export function readExposition(text: string): Exposition {
  const lines = text.split('\n').flatMap((line) => /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$/.exec(line) ?? []);
  const rows = Array.from({ length: lines.length / 4 }, (_row, at) => lines.slice(at * 4, at * 4 + 4));
  return {
    series: rows.map(([, name = '', labels = '']) => `${name}${labels}`),
    samples: rows.flatMap(([, name = '', labels, value]) => {
      const metric = keys.get(name);
      return metric ? [{ metric, labels: labelsOf(labels), value: Number(value) }] : [];
    }),
  };
}

function labelsOf(text = ''): Labels {
  return Object.fromEntries([...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value]));
}
