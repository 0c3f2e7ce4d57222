import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { QueueDefinition } from './definition.ts';
import { lintOf } from './lint.ts';

const kinds = { task: { schema: z.unknown(), sideEffect: 'guarded' as const } };
const sound: QueueDefinition = { name: 'work', attempts: 3, backoffMs: [1_000, 5_000], kinds };
const options = { attempts: 3, removeOnFail: false };
const codes = (definition: Partial<QueueDefinition>, sample: Record<string, unknown>[] = []) =>
  lintOf(
    { ...sound, ...definition },
    sample.map((one, n) => ({ runKey: `job-${n}`, options: { ...options, ...one } })),
  ).map(({ code }) => code);

describe('the lint of a queue', () => {
  it.each<[string[], Partial<QueueDefinition>, Record<string, unknown>[]]>([
    [[], {}, [{}, {}]],
    [['single_attempt'], { attempts: 1, backoffMs: [] }, []],
    [['short_backoff'], { backoffMs: [20] }, []],
    [['unsafe_repeats'], { kinds: { pay: { schema: z.unknown(), sideEffect: 'unsafe' } } }, []],
    [['remove_on_fail'], {}, [{ removeOnFail: true }]],
    [['remove_on_fail'], {}, [{ removeOnFail: undefined }]],
    [['other_attempts'], {}, [{ attempts: 1 }]],
    [['repeatable'], {}, [{ repeat: { every: 1_000 } }]],
  ])('finds %j', (expected, definition, sample) => {
    expect(codes(definition, sample)).toEqual(expected);
  });

  it('names the jobs that show it', () => {
    const [lint] = lintOf(sound, [
      { runKey: 'good', options },
      { runKey: 'bad', options: { ...options, removeOnFail: 1 } },
    ]);
    expect(lint).toMatchObject({ code: 'remove_on_fail', jobs: ['bad'] });
  });
});
