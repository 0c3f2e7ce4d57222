import { describe, expect, it } from 'vitest';
import { openPasswords } from './passwords.ts';

const cheap = { memoryKib: 64, passes: 1 };

describe('passwords', () => {
  it('are stored as argon2id with a salt of their own', async () => {
    const passwords = openPasswords(cheap);
    const [one, other] = await Promise.all([passwords.hash('tangerine-lamp'), passwords.hash('tangerine-lamp')]);
    expect(one).toMatch(/^\$argon2id\$v=19\$m=64,t=1,p=1\$/);
    expect(one).not.toBe(other);
    expect(await passwords.matches('tangerine-lamp', one)).toBe(true);
    expect(await passwords.matches('tangerine-lamp ', one)).toBe(false);
  });

  it('of nobody match nothing', async () => {
    expect(await openPasswords(cheap).matches('tangerine-lamp', undefined)).toBe(false);
  });

  it('of unknown users are compared as long as those of known ones', async () => {
    const passwords = openPasswords();
    const known = await passwords.hash('tangerine-lamp');
    const median = async (against: string | undefined) => {
      const times: number[] = [];
      for (let round = 0; round < 5; round += 1) {
        const startedAt = performance.now();
        await passwords.matches('wrong-password', against);
        times.push(performance.now() - startedAt);
      }
      return times.sort((a, b) => a - b)[2] ?? 0;
    };
    const [unknown, wrong] = [await median(undefined), await median(known)];
    expect(unknown / wrong).toBeGreaterThan(0.5);
    expect(unknown / wrong).toBeLessThan(2);
  });

  it('are hashed two at once; the line behind holds 50, the next is told to come later', async () => {
    const passwords = openPasswords(cheap);
    const asked = Array.from({ length: 60 }, () => passwords.hash('tangerine-lamp'));
    const verdicts = await Promise.allSettled(asked);
    const refused = verdicts.filter((verdict) => verdict.status === 'rejected');
    expect(refused).toHaveLength(8);
    expect(refused.every((verdict) => verdict.reason.code === 'rate_limited')).toBe(true);
    await expect(passwords.hash('tangerine-lamp')).resolves.toBeTypeOf('string');
  });
});
