import { describe, expect, it } from 'vitest';
import type { RunRow } from './run-rows.ts';
import { type StartQuestion, startVerdict } from './start-verdict.ts';

const ask = (run: Partial<RunRow>, question: Partial<StartQuestion> = {}) =>
  startVerdict({
    run: { run_key: 'sch-tidy-1', origin: 'schedule', state: 'expected', reason: null, ...run } as RunRow,
    rootKey: 'sch-tidy-1',
    definition: { catchUp: 'last', overlap: false, enabled: true },
    otherStarted: false,
    newerDue: false,
    ...question,
  });

describe('a run', () => {
  it('starts, and starts again after a failed attempt or when its letter is retried', () => {
    expect([ask({}), ask({ state: 'started' }), ask({ state: 'failed', reason: 'exhausted' })]).toEqual([
      'start',
      'start',
      'start',
    ]);
  });

  it('is left alone once it is decided', () => {
    expect([ask({ state: 'done' }), ask({ state: 'skipped' }), startVerdict({ ...question, run: undefined })]).toEqual([
      'leave',
      'leave',
      'leave',
    ]);
  });

  it('starts by its newest job only', () => {
    expect(ask({ run_key: 'sch-tidy-1-2' })).toBe('leave');
  });

  it('waits while another one is under way, where two must not overlap', () => {
    const definition = { catchUp: 'last', overlap: true, enabled: true } as const;
    expect(ask({}, { otherStarted: true })).toBe('wait');
    expect(ask({}, { otherStarted: true, definition })).toBe('start');
  });

  it('does not start after its schedule was switched off', () => {
    expect(ask({}, { definition: { catchUp: 'last', overlap: false, enabled: false } })).toBe('switched_off');
  });
});

describe('a run whose job came too late', () => {
  const missed = { state: 'missed', reason: 'not_started' } as const;
  const under = (catchUp: 'none' | 'last' | 'all', newerDue: boolean) =>
    ask(missed, { newerDue, definition: { catchUp, overlap: false, enabled: true } });

  it('is caught up as the policy says', () => {
    expect([under('none', false), under('last', false), under('last', true), under('all', true)]).toEqual([
      'leave',
      'start',
      'leave',
      'start',
    ]);
  });

  it('starts where a person asked for it', () => {
    expect(ask({ ...missed, origin: 'manual' }, { newerDue: true })).toBe('start');
  });
});

const question = {
  rootKey: 'sch-tidy-1',
  definition: { catchUp: 'last', overlap: false, enabled: true },
  otherStarted: false,
  newerDue: false,
} as const;
