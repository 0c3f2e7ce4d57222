import { describe, expect, it } from 'vitest';
import { pairs, planFaults } from './fault-plan.ts';
import { causeOf, type Fate } from './jobs.ts';

describe('the faults of a seed', () => {
  it('are the same each time', () => {
    const { random: _random, ...first } = planFaults(7);
    expect(planFaults(7)).toMatchObject(first);
    expect(planFaults(8)).not.toMatchObject(first);
  });

  it('hold a death of every cause, whatever the seed', () => {
    // What blocks its process comes one at a time, beside the waves.
    const fates = new Set<Fate>([...planFaults(3).waves.flat(), 'stall']);
    expect(new Set([...fates].map((fate) => causeOf[fate]))).toEqual(new Set(Object.values(causeOf)));
    expect(fates).toEqual(new Set(Object.keys(causeOf)));
  });

  it('kill a worker at every point of every death within 20 seeds, and relay and scheduler at theirs', () => {
    const plans = Array.from({ length: 20 }, (_one, at) => planFaults(at + 1));
    const name = ({ fate, point }: { fate: Fate; point: string }) => `${point} ${fate}`;
    expect(new Set(plans.flatMap(({ shots }) => shots.map(name)))).toEqual(new Set(pairs.map(name)));
    const points = plans.flatMap(({ relayDeath, schedulerDeath }) => [relayDeath, schedulerDeath]);
    expect(new Set(points.map((point) => point.split(':')[0]))).toEqual(
      new Set(['dispatch.before_add', 'dispatch.after_add', 'sweep.before_forget', 'reconcile.before_return']),
    );
  });
});
