import { describe, expect, it } from 'vitest';
import { attemptsOf, type KeptAttempt, type StoredRun } from './attempts.ts';

const worker = '7f1c1f52-5f9e-4c2a-9d3e-0d4d1b6a2f10';
const at = (second: number) => new Date(Date.UTC(2026, 0, 2, 14, 0, second));

function run(more: Partial<StoredRun>): StoredRun {
  return {
    run_key: 'job-1',
    generation: 0,
    queue: 'work',
    state: 'dead',
    started: 2,
    finished: 2,
    cause: 'exhausted',
    enqueued_at: at(0),
    last_started_at: at(5),
    finished_at: at(6),
    worker,
    attempts_history: [failed(1, 1, 2), failed(2, 5, 6)],
    correlation_id: 'journey-1',
    ...more,
  };
}

function failed(attempt: number, from: number, to: number): KeptAttempt {
  const times = { started_at: at(from).toISOString(), ended_at: at(to).toISOString() };
  return { attempt, ...times, worker, outcome: 'failed', error: { type: 'Error', message: 'no' } };
}

const brief = (runs: StoredRun[]) =>
  attemptsOf(runs, new Map()).map((one) => [one.generation, one.attempt, one.outcome]);

describe('the attempts at a piece of work', () => {
  it('come newest first, with how long each waited and ran', () => {
    const workers = new Map([[worker, { id: worker, host: 'h1', pid: 7, version: '1.2.0' }]]);
    const [second, first] = attemptsOf([run({})], workers);
    expect(first).toMatchObject({ attempt: 1, wait_ms: 1_000, duration_ms: 1_000, job_id: 'job-1' });
    expect(second).toMatchObject({
      attempt: 2,
      wait_ms: 3_000,
      duration_ms: 1_000,
      worker: { host: 'h1', version: '1.2.0' },
    });
  });

  it('of retries stand above those of the first run', () => {
    const retry = run({ generation: 1, state: 'done', started: 1, attempts_history: null });
    expect(brief([run({}), retry])).toEqual([
      [1, 1, 'done'],
      [0, 2, 'failed'],
      [0, 1, 'failed'],
    ]);
  });

  it('name those of which no word came', () => {
    const buried: KeptAttempt = { ...failed(1, 5, 9), attempt: null, outcome: 'died', cause: 'crash_loop' };
    expect(brief([run({ started: 3, finished: 0, attempts_history: [buried] })])).toEqual([
      [0, null, 'died'],
      [0, 3, 'no_word'],
      [0, 2, 'no_word'],
      [0, 1, 'no_word'],
    ]);
  });

  it('show the one that runs', () => {
    const retrying = run({ state: 'enqueued', finished: 1, finished_at: null, attempts_history: [failed(1, 1, 2)] });
    expect(brief([retrying])).toEqual([
      [0, 2, 'running'],
      [0, 1, 'failed'],
    ]);
  });

  it('are none for a run that never began', () => {
    expect(brief([run({ state: 'enqueued', started: 0, finished: 0, attempts_history: null })])).toEqual([]);
  });
});
