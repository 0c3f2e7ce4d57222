import { describe, expect, it } from 'vitest';
import { overlapMs, sinceOf } from './scope.ts';

const begunAt = new Date('2026-01-05T12:00:00Z');
const look = (state: 'ok' | 'breached' | 'not_checked', since: string | null = null) => ({
  begunAt,
  probes: [{ name: 'D4', state, since }],
});

describe('since when a probe looks', () => {
  it.each([
    ['never looked before: everything', undefined, null],
    [
      'held at the last look: what changed since, and what may have been under way then',
      look('ok'),
      new Date(begunAt.getTime() - overlapMs),
    ],
    [
      'was broken: as far back as then, so that the breach stays in sight',
      look('breached', '2026-01-04T00:00:00.000Z'),
      new Date('2026-01-04T00:00:00Z'),
    ],
    ['was broken when all was looked at: everything', look('breached'), null],
    [
      'was not checked: what would have been looked at',
      look('not_checked', '2026-01-05T09:00:00.000Z'),
      new Date('2026-01-05T09:00:00Z'),
    ],
    ['is new: everything', { begunAt, probes: [] }, null],
  ])('%s', (_, last, expected) => {
    expect(sinceOf('D4', last)).toEqual(expected);
  });
});
