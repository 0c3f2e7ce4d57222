import { describe, expect, it } from 'vitest';
import { catalogue } from '../../metrics.ts';
import { nameOf, scenarios } from './index.ts';
import { scenarioNamed } from './under-way.ts';

const exposed = new Set(
  Object.values(catalogue).flatMap(({ name, type }) => (type === 'histogram' ? [name, `${name}_count`] : [name])),
);

describe('the scenarios', () => {
  it('are those that the demo promises', () => {
    expect(scenarios.map(({ name }) => name)).toEqual([
      'smtp-outage',
      'smtp-slow',
      'price-mistake',
      'price-too-low',
      'dispute-burst',
      'rotten-source',
      'double-submit',
      'poison',
      'stuck-export',
      'redis-flush',
      'kill-worker',
      'balance-drift',
      'reactivation-off',
      'webhooks-late',
      'approval-backlog',
      'hot-niche',
      'redis-down',
    ]);
  });

  it.each(scenarios.map((scenario) => [scenario.name, scenario] as const))(
    '%s says what is done, where it shows and what to do',
    (_name, { cause, signals, steps }) => {
      expect([cause.endsWith('.'), signals.length > 0, steps.length > 1]).toEqual([true, true, true]);
      for (const signal of signals) expect([nameOf(signal), signal.tells.length > 10]).toEqual([nameOf(signal), true]);
    },
  );

  it('show in metrics that exist', () => {
    const named = scenarios.flatMap(({ signals }) => signals.flatMap((one) => ('metric' in one ? [one.metric] : [])));
    expect(named.filter((name) => !exposed.has(name))).toEqual([]);
    expect(new Set(named).size).toBeGreaterThan(8);
  });

  it('are found by name, and a wrong name is refused in words', () => {
    expect(scenarioNamed('poison').title).toMatch(/payload/);
    expect(() => scenarioNamed('toString')).toThrow('no scenario is called toString: `fmhl demo list` shows them all');
  });
});
