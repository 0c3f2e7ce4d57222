import { catalogue } from '../../apps/marketplace/src/metrics.ts';
import type { MetricKey } from './exposition.ts';
import { notYet } from './not-yet.ts';
import type { Watch } from './watch.ts';

/** Labels whose values the protocol lists, not the product: nobody promises that each of them occurs. */
const ofTheProtocol = new Set(['method', 'status']);

interface Thing {
  readonly metric: MetricKey;
  readonly label?: string;
  readonly value?: string;
}

/** Every metric, and every value of every closed label. */
function things(): Thing[] {
  return Object.entries(catalogue).flatMap(([key, definition]) => {
    const metric = key as MetricKey;
    const labels: Readonly<Record<string, readonly string[] | string>> =
      'labels' in definition ? definition.labels : {};
    const values = Object.entries(labels).flatMap(([label, domain]) =>
      Array.isArray(domain) && !ofTheProtocol.has(label)
        ? (domain as string[]).map((value) => ({ metric, label, value }))
        : [],
    );
    return [{ metric }, ...values];
  });
}

const nameOf = ({ metric, label, value }: Thing) => (label === undefined ? metric : `${metric}{${label}="${value}"}`);

/** What is in the catalogue and nothing here moves, and what is excused though it moves or does not exist. */
export function gaps(watch: Watch): { unproven: string[]; stale: string[] } {
  const isSeen = ({ metric, label, value }: Thing) =>
    label === undefined ? watch.proven.has(metric) : watch.hasMoved(metric, { [label]: value ?? '' });
  const all = new Map(things().map((thing) => [nameOf(thing), thing]));
  const excused = new Set(Object.keys(notYet));
  return {
    unproven: [...all].filter(([name, thing]) => !excused.has(name) && !isSeen(thing)).map(([name]) => name),
    stale: [...excused].filter((name) => {
      const thing = all.get(name);
      if (!thing) return true;
      return thing.label === undefined ? watch.hasMoved(thing.metric) : isSeen(thing);
    }),
  };
}
