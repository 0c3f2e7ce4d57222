import { describe, expect, it } from 'vitest';
import { atLeast, below, medianOf, tableOf } from './report.ts';

describe('medianOf', () => {
  it.each([
    [[3], 3],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
  ])('of %j is %d', (values, median) => {
    expect(medianOf(values)).toBe(median);
  });

  it('refuses to invent one of no values', () => {
    expect(() => medianOf([])).toThrow('the median of no values');
  });
});

describe('a figure', () => {
  it('holds at its lower bound and not at its upper one', () => {
    expect(atLeast(0.95, { what: 'throughput', value: 0.95, unit: 'ratio' })).toMatchObject({
      ok: true,
      target: '≥ 0.95',
    });
    expect(below(50, { what: 'p95', value: 50, unit: 'ms' })).toMatchObject({ ok: false, target: '< 50' });
  });
});

describe('the table', () => {
  it('keeps to 80 columns and goes on below with a long name', () => {
    const what = 'no-op jobs through our worker with metrics, logs and context, job_run off / bare BullMQ';
    const table = tableOf([atLeast(0.95, { what, value: 0.9712, unit: 'ratio' })]);
    expect(table.split('\n').every((line) => line.length <= 80)).toBe(true);
    expect(table).toBe(
      [
        'ok   no-op jobs through our worker with metrics,        0.971 ratio  ≥ 0.95',
        '     logs and context, job_run off / bare BullMQ',
      ].join('\n'),
    );
  });
});
