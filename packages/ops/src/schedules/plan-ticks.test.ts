import { describe, expect, it } from 'vitest';
import { planTicks, type TickPlan } from './plan-ticks.ts';

const at = (minutes: number) => new Date(Date.UTC(2026, 0, 2, 14, minutes));

/** Every five minutes from 14:00, which was the last tick. */
const planned = (plan: Partial<TickPlan> & { due: Date[] }) =>
  planTicks({
    next: new Date((plan.due.at(-1) ?? at(0)).getTime() + 300_000),
    now: plan.due.at(-1) ?? at(0),
    catchUp: 'last',
    catchUpLimit: 100,
    isHeldUp: false,
    pause: undefined,
    more: false,
    ...plan,
  }).map((tick) => (tick.runs ? tick.runs : `${tick.state}: ${tick.reason}`));

describe('a fire time that has come', () => {
  it('is run', () => {
    expect(planned({ due: [at(5)] })).toEqual(['schedule']);
  });

  it('is run while it waits no longer than its interval', () => {
    expect(planned({ due: [at(5)], now: at(10), catchUp: 'none' })).toEqual(['schedule']);
  });

  it('is skipped while another run is open', () => {
    expect(planned({ due: [at(5)], isHeldUp: true })).toEqual(['skipped: overlap']);
  });

  it('is skipped in a pause, and run after it', () => {
    const due = [at(5), at(10), at(15)];
    expect(planned({ due, pause: { from: at(3), until: at(12) } })).toEqual([
      'skipped: paused',
      'skipped: paused',
      'schedule',
    ]);
    expect(planned({ due: [at(5)], pause: { from: at(3), until: null } })).toEqual(['skipped: paused']);
  });

  it('of a day is missed after a quarter of an hour, where nothing is caught up', () => {
    const next = new Date(Date.UTC(2026, 0, 3, 14, 5));
    expect(planned({ due: [at(5)], next, now: at(20), catchUp: 'none' })).toEqual(['schedule']);
    expect(planned({ due: [at(5)], next, now: at(21), catchUp: 'none' })).toEqual(['missed: outage']);
  });
});

describe('after an outage', () => {
  const due = [at(5), at(10), at(15), at(20)];
  const now = at(24);

  it('the last one is in time where its interval is not over', () => {
    expect(planned({ due, now, catchUp: 'none' })).toEqual([
      'missed: outage',
      'missed: outage',
      'missed: outage',
      'schedule',
    ]);
  });

  it('`all` runs what was missed up to its limit, the newest', () => {
    expect(planned({ due, now, catchUp: 'all' })).toEqual(['catch_up', 'catch_up', 'catch_up', 'schedule']);
    expect(planned({ due, now, catchUp: 'all', catchUpLimit: 2 })).toEqual([
      'missed: outage',
      'missed: outage',
      'catch_up',
      'schedule',
    ]);
  });

  it('none is the last one while more have come', () => {
    for (const catchUp of ['last', 'all'] as const)
      expect(planned({ due, now, catchUp, more: true }).every((what) => what === 'missed: outage')).toBe(true);
  });
});
