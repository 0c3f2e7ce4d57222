import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AmbiguousCommit, ofDatabase } from '../postgres/index.ts';
import { describeFailure, ShutdownAbort } from './failure.ts';
import { PermanentError } from './outcome.ts';
import { afterFailure, backoffMs } from './verdict.ts';

const attempt = { failures: 0, maxAttempts: 3, lastInRedis: false, backoffMs: [1_000, 5_000] };
const foreign = (code: string) => Object.assign(new Error('x'), { code });
const withCode = (code: string) => ofDatabase(foreign(code));

describe('the class of a failure', () => {
  it.each([
    ['a permanent error', new PermanentError('no'), 'permanent'],
    ['an unknown error', new Error('what?'), 'transient'],
    ['a thrown string', 'oops', 'transient'],
    ['nothing', undefined, 'transient'],
    ['a deadlock', withCode('40P01'), 'conflict'],
    ['a lock timeout', withCode('55P03'), 'conflict'],
    ['a Postgres that shuts down', withCode('57P01'), 'infrastructure'],
    ['a refused connection', withCode('ECONNREFUSED'), 'infrastructure'],
    ['a full disk', withCode('53100'), 'infrastructure'],
    ['a read-only server', withCode('25006'), 'infrastructure'],
    ['a shutdown', new ShutdownAbort('stop'), 'infrastructure'],
    ['a commit in doubt', new AmbiguousCommit('?'), 'ambiguous'],
    ['a unique violation', withCode('23505'), 'transient'],
    ['a refused connection of somebody else', foreign('ECONNREFUSED'), 'transient'],
  ])('of %s', (_what, thrown, expected) => {
    expect(describeFailure(thrown).class).toBe(expected);
  });

  it('is found, and evidence made, for whatever is thrown', () => {
    fc.assert(
      fc.property(fc.anything(), (thrown) => {
        const failure = describeFailure(thrown);
        expect(failure.message.length).toBeLessThanOrEqual(8 * 1024);
        expect(failure.message + failure.stack).not.toContain('\u0000');
        expect((failure.message + failure.stack).isWellFormed()).toBe(true);
      }),
    );
  });

  it('is found for an object whose every property throws', () => {
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error('trap');
        },
      },
    );
    expect(describeFailure(hostile)).toMatchObject({ class: 'transient', type: 'object' });
  });

  it('carries causes, three deep, and no personal data', () => {
    const cause = new Error('550 for jane.doe@example.com, card 4111 1111 1111 1111');
    const failure = describeFailure(new Error('mail failed', { cause }));
    expect(failure.stack).toContain('caused by');
    expect(failure.stack + failure.message).not.toMatch(/jane\.doe|4111/);
  });
});

describe('after a failure', () => {
  it.each([
    ['a permanent one is final', new PermanentError('no'), {}, { kind: 'dead', cause: 'permanent' }],
    ['a transient one is tried again', new Error('x'), {}, { kind: 'retry', delayMs: 1_000 }],
    ['the second waits longer', new Error('x'), { failures: 1 }, { kind: 'retry', delayMs: 5_000 }],
    ['the last attempt is final', new Error('x'), { failures: 2 }, { kind: 'dead', cause: 'exhausted' }],
    ['the last attempt in Redis is final', new Error('x'), { lastInRedis: true }, { kind: 'dead', cause: 'exhausted' }],
    ['our own servers cost no attempt', withCode('ECONNREFUSED'), { failures: 2 }, { kind: 'snooze', delayMs: 1_000 }],
    ['a doubt costs no attempt', new AmbiguousCommit('?'), { failures: 2 }, { kind: 'snooze', delayMs: 1_000 }],
  ])('%s', (_what, thrown, state, verdict) => {
    expect(afterFailure(describeFailure(thrown), { ...attempt, ...state }, 0.5)).toEqual(verdict);
  });

  it('the wait stays within a fifth of what the queue says, and the last one repeats', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.double({ min: 0, max: 1, noNaN: true }), (failures, random) => {
        const base = failures === 0 ? 1_000 : 5_000;
        const wait = backoffMs(attempt.backoffMs, failures, random);
        expect(wait).toBeGreaterThanOrEqual(base * 0.8);
        expect(wait).toBeLessThanOrEqual(base * 1.2);
      }),
    );
  });
});
