import { afterEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { recordPastDeaths } from './index.ts';
import { openLetters } from './letters.fixture.ts';

let opened: Awaited<ReturnType<typeof openLetters>>;
afterEach(() => opened.plane.close());

const error = {
  type: 'TypeError',
  message: 'no answer from 10.0.0.7',
  stack: 'TypeError: no answer\n    at call (/app/call.ts:3:1)',
};
const past = (n: number, diedAt: string) => ({
  runKey: `task-${n}`,
  queue: 'work',
  kind: 'task',
  payload: { n },
  attempts: 2,
  cause: 'exhausted' as const,
  error,
  enqueuedAt: new Date('2026-01-05T09:59:00Z'),
  diedAt: new Date(diedAt),
  correlationId: `past-${n}`,
});

describe('deaths of the past', () => {
  it('have letters as old as they are, in one group, counted in their own hours', async () => {
    const { plane, letters } = (opened = await openLetters());
    await plane.db.transaction((tx) =>
      recordPastDeaths(tx, [
        past(1, '2026-01-05T10:05:00Z'),
        past(2, '2026-01-05T10:40:00Z'),
        past(3, '2026-01-05T12:00:00Z'),
      ]),
    );
    const made = await letters();
    expect(made).toHaveLength(3);
    expect(made[0]).toMatchObject({
      state: 'pending',
      payload: { n: 1 },
      error_type: 'TypeError',
      failed_at: new Date('2026-01-05T10:05:00Z'),
      created_at: new Date('2026-01-05T10:05:00Z'),
      evidence_lacks: null,
    });
    expect(new Set(made.map((letter) => letter.fingerprint)).size).toBe(1);
    const { rows } = await plane.db.query(sql`select at, captured from ops.dead_letter_change order by at`);
    expect(rows).toEqual([
      { at: new Date('2026-01-05T10:00:00Z'), captured: 2 },
      { at: new Date('2026-01-05T12:00:00Z'), captured: 1 },
    ]);
    const deaths = await plane.db.query(
      sql`select queue, sum(deaths)::int as deaths from ops.job_death group by queue`,
    );
    expect(deaths.rows).toEqual([{ queue: 'work', deaths: 3 }]);
  });

  it('are refused where their run is known', async () => {
    const { plane, letters } = (opened = await openLetters());
    const record = () => plane.db.transaction((tx) => recordPastDeaths(tx, [past(1, '2026-01-05T10:05:00Z')]));
    await record();
    await expect(record()).rejects.toThrow('duplicate key');
    expect(await letters()).toHaveLength(1);
  });
});
