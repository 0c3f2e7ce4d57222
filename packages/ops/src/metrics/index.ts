export { type OpsCatalogue, opsCatalogue } from './catalogue.ts';
export { CollectorTimeout } from './collectors.ts';
export {
  type Aggregation,
  bucketsOf,
  type Catalogue,
  defineMetrics,
  durationBuckets,
  jobBuckets,
  type LabelDomain,
  type MetricDefinition,
  type MetricEntry,
} from './definition.ts';
export type { CounterSeries, GaugeSeries, HistogramSeries } from './instruments.ts';
export {
  type Collection,
  createMetrics,
  type Instrument,
  type Metrics,
  type MetricsOptions,
  type Reading,
} from './metrics.ts';
export { metricsReference } from './reference.ts';
