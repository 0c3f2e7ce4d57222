import { describe, expect, it } from 'vitest';
import { planFaults } from './fault-plan.ts';

describe('the faults of a seed', () => {
  it('are the same each time', () => {
    const { random: _random, ...first } = planFaults(7);
    expect(planFaults(7)).toMatchObject(first);
    expect(planFaults(8)).not.toMatchObject(first);
  });

  it('kill before, inside and after the transaction of a sale, whatever the seed', () => {
    const points = kills(3).map((kill) => kill.replace(/\[.*/, ''));
    expect(points).toHaveLength(3);
    expect(points).toContain('worker.before_handler');
    expect(points).toContain('worker.after_commit');
  });

  it('reach every point within 20 seeds', () => {
    const seeds = Array.from({ length: 20 }, (_one, at) => at + 1);
    const plans = seeds.map(planFaults);
    const points = [
      ...seeds.flatMap(kills),
      ...plans.flatMap(({ mailDeath, relayDeath, schedulerDeath }) => [mailDeath, relayDeath, schedulerDeath ?? 'any']),
    ];
    expect(new Set(points.map((point) => point.split(/[[:]/)[0]))).toEqual(
      new Set([
        'worker.before_handler',
        'worker.inside_commit',
        'worker.before_commit',
        'worker.after_commit',
        'handler.after_effect',
        'worker.before_verdict',
        'dispatch.before_add',
        'dispatch.after_add',
        'reconcile.before_return',
        'any',
      ]),
    );
    expect(new Set(plans.map(({ flushWithoutWorkers }) => flushWithoutWorkers)).size).toBe(2);
  });
});

function kills(seed: number): string[] {
  return planFaults(seed).steps.flatMap((step) => (typeof step === 'object' ? [step.kill] : []));
}
