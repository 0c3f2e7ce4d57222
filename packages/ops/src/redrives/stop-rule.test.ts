import { describe, expect, it } from 'vitest';
import { judgeRun, stageIsPassed, stageOf, type Verdicts } from './stop-rule.ts';

const stopWhen = { success_below: 0.9, new_fingerprint: true };
const verdicts = (succeeded: number, failed: number): Verdicts => [
  ...Array.from({ length: succeeded }, () => 'succeeded' as const),
  ...Array.from({ length: failed }, () => 'failed' as const),
];

describe('the rule that stops a redrive', () => {
  it('lets it go on while enough succeed', () => {
    expect(judgeRun(verdicts(45, 5), [], stopWhen)).toBeUndefined();
  });

  it('stops it when too few of the last verdicts are successes', () => {
    expect(judgeRun(verdicts(44, 6), [], stopWhen)).toMatchObject({ rule: 'success_below', success: 0.88 });
  });

  it('says nothing of a ratio before ten verdicts', () => {
    expect(judgeRun(verdicts(0, 9), [], stopWhen)).toBeUndefined();
    expect(judgeRun(verdicts(0, 10), [], stopWhen)).toBeDefined();
  });

  it('stops for an error that the plan does not know, unless it was told not to', () => {
    expect(judgeRun([], ['v1_new'], stopWhen)).toMatchObject({ rule: 'new_fingerprint', fingerprints: ['v1_new'] });
    expect(judgeRun([], ['v1_new'], { ...stopWhen, new_fingerprint: false })).toBeUndefined();
  });
});

describe('the ramp', () => {
  const shares = [0.05, 0.25, 1];

  it('goes by shares of the plan', () => {
    expect(stageOf(1_000, shares, 0)).toEqual({ limit: 50, isLast: false });
    expect(stageOf(1_000, shares, 2)).toEqual({ limit: 1_000, isLast: true });
  });

  it('goes on when a stage is out and has shown a window of verdicts, or all of its own', () => {
    const stage = stageOf(1_000, shares, 0);
    expect(stageIsPassed(stage, { taken: 49, backlog: 0, verdicts: 49 })).toBe(false);
    expect(stageIsPassed(stage, { taken: 50, backlog: 10, verdicts: 40 })).toBe(false);
    expect(stageIsPassed(stage, { taken: 50, backlog: 0, verdicts: 44 })).toBe(true);
    expect(stageIsPassed(stageOf(10_000, shares, 0), { taken: 500, backlog: 450, verdicts: 50 })).toBe(true);
  });

  it('has no way on from its last stage', () => {
    expect(stageIsPassed(stageOf(10, shares, 2), { taken: 10, backlog: 0, verdicts: 10 })).toBe(false);
  });
});
