import { catalogue } from '../../apps/marketplace/src/metrics.ts';
import type { Figure } from '../../bench/report.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import type { Member, Role } from '../harness/fleet.ts';
import { type Exposition, type Labels, type MetricKey, readExposition, type Sample } from './exposition.ts';

/** What a cause must do to one metric. Without labels, or with some of them, the series that fit are added up. */
export type Expectation = {
  readonly metric: MetricKey;
  readonly labels?: Labels;
  /** Only as the processes of this role see it. */
  readonly role?: Role;
  /** Counts what the metric has beyond this one, such as attempts beyond those that a busy machine repeats. */
  readonly beyond?: MetricKey;
} & (
  | { readonly rises: number | 'some' }
  /** It must have been something else before. */
  | { readonly becomes: number | 'positive' | 'absent' }
);

/** Scrapes every process of the system, and holds against it what each cause should have moved. */
export interface Watch {
  /** From now on this process is scraped too. Resolves when it answers. */
  add(member: Member, metricsPort: number): Promise<void>;
  /** Scrapes, causes, and scrapes until all is as expected or `withinMs` are over. */
  sees(what: string, cause: () => Promise<unknown>, expected: readonly Expectation[], withinMs?: number): Promise<void>;
  /** The present value, after a scrape. */
  value(wanted: Pick<Expectation, 'metric' | 'labels' | 'role'>): Promise<number | undefined>;
  /** One figure for each expectation so far. */
  readonly figures: readonly Figure[];
  /** Metrics of which an expectation came true. */
  readonly proven: ReadonlySet<MetricKey>;
  /** Whether any series that fits was ever seen to move in any process. */
  hasMoved(metric: MetricKey, labels?: Labels): boolean;
  /** The newest exposition of each process. */
  readonly expositions: readonly Exposition[];
}

interface Target {
  readonly member: Member;
  readonly url: string;
  last: Exposition;
}

const nothing: Exposition = { samples: [], series: [] };

export function openWatch(): Watch {
  return new FleetWatch();
}

class FleetWatch implements Watch {
  readonly figures: Figure[] = [];
  readonly proven = new Set<MetricKey>();
  readonly #targets: Target[] = [];
  readonly #moved: Sample[] = [];

  get expositions() {
    return this.#targets.map(({ last }) => last);
  }

  async add(member: Member, metricsPort: number) {
    await member.ready;
    const target = { member, url: `http://127.0.0.1:${metricsPort}/metrics`, last: nothing };
    await pollUntil(async () => (await fetch(target.url)).ok);
    this.#targets.push(target);
  }

  async sees(what: string, cause: () => Promise<unknown>, expected: readonly Expectation[], withinMs = 10_000) {
    await this.#scrape();
    const before = expected.map((one) => this.#valueOf(one));
    await cause();
    const judge = async () => {
      await this.#scrape();
      return expected.map((one, at) => judgement(one, before[at], this.#valueOf(one)));
    };
    const all = async () => (await judge()).every(({ ok }) => ok);
    await pollUntil(all, { deadlineMs: withinMs, everyMs: 50 }).catch(() => {});
    // Looked at once more: what rose too far must not be taken for what was passing by.
    for (const [at, judged] of (await judge()).entries()) {
      const one = expected[at] as Expectation;
      this.figures.push({ ...judged, what: `${nameOf(one)}: ${what}` });
      if (judged.ok) this.proven.add(one.metric);
    }
  }

  async value(wanted: Pick<Expectation, 'metric' | 'labels' | 'role'>) {
    await this.#scrape();
    return this.#valueOf(wanted);
  }

  hasMoved(metric: MetricKey, labels: Labels = {}) {
    return this.#moved.some((sample) => sample.metric === metric && fits(sample, labels));
  }

  async #scrape() {
    await Promise.all(
      this.#targets.map(async (target) => {
        if (target.member.end) return;
        // A process that was killed keeps what it last said.
        const text = await fetch(target.url).then(
          (response) => response.text(),
          () => undefined,
        );
        if (text !== undefined) this.#take(target, readExposition(text));
      }),
    );
  }

  #take(target: Target, next: Exposition) {
    const isFirst = target.last === nothing;
    const before = new Map(target.last.samples.map((sample) => [seriesOf(sample), sample.value]));
    for (const sample of next.samples) {
      const was = before.get(seriesOf(sample)) ?? (isGauge(sample.metric) && isFirst ? sample.value : 0);
      if (sample.value !== was) this.#moved.push(sample);
    }
    target.last = next;
  }

  #valueOf({ beyond, ...wanted }: Pick<Expectation, 'metric' | 'labels' | 'role' | 'beyond'>): number | undefined {
    const value = this.#sumOf(wanted);
    if (beyond === undefined || value === undefined) return value;
    return value - (this.#sumOf({ metric: beyond }) ?? 0);
  }

  /** Flows are the sum of all processes that ever ran, stocks what the living agree on, the rest the sum of the living. */
  #sumOf({ metric, labels = {}, role }: Pick<Expectation, 'metric' | 'labels' | 'role'>): number | undefined {
    const { aggregation } = catalogue[metric];
    const targets = this.#targets.filter(
      ({ member }) => (role === undefined || member.role === role) && (aggregation === 'F' || !member.end),
    );
    const values = targets.flatMap(({ last }) => {
      const found = last.samples.filter((sample) => sample.metric === metric && fits(sample, labels));
      return found.length > 0 ? [sum(found.map(({ value }) => value))] : [];
    });
    if (values.length === 0) return undefined;
    return aggregation === 'S' ? Math.max(...values) : sum(values);
  }
}

const seriesOf = ({ metric, labels }: Sample) => `${metric} ${JSON.stringify(labels)}`;
const isGauge = (metric: MetricKey) => catalogue[metric].type === 'gauge';
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function fits(sample: Sample, labels: Labels): boolean {
  return Object.entries(labels).every(([name, value]) => sample.labels[name] === value);
}

function nameOf({ metric, labels = {} }: Expectation): string {
  const values = Object.values(labels).join(' ');
  return values === '' ? metric : `${metric} (${values})`;
}

function judgement(one: Expectation, before: number | undefined, after: number | undefined): Omit<Figure, 'what'> {
  if ('rises' in one) {
    const value = (after ?? 0) - (before ?? 0);
    if (one.rises === 'some') return { value, unit: 'more', target: '> 0', ok: value > 0 };
    return { value, unit: 'more', target: `= ${one.rises}`, ok: value === one.rises };
  }
  const value = after ?? Number.NaN;
  const { unit } = catalogue[one.metric];
  if (one.becomes === 'absent')
    return { value, unit, target: 'absent', ok: before !== undefined && after === undefined };
  const isSo = one.becomes === 'positive' ? value > 0 : value === one.becomes;
  const target = one.becomes === 'positive' ? '> 0, new' : `= ${one.becomes}, new`;
  return { value, unit, target, ok: isSo && after !== before };
}
