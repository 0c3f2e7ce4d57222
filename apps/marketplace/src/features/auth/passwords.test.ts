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

  it.each([70, 71, 72, 73, 127])('of %i bytes differ from those that are one longer', async (bytes) => {
    const passwords = openPasswords(cheap);
    const password = 'x'.repeat(bytes);
    const stored = await passwords.hash(password);
    expect(await passwords.matches(password, stored)).toBe(true);
    expect(await passwords.matches(`${password}x`, stored)).toBe(false);
    expect(await passwords.matches(password.slice(1), stored)).toBe(false);
  });

  it('of nobody match nothing', async () => {
    expect(await openPasswords(cheap).matches('tangerine-lamp', undefined)).toBe(false);
  });

  it('of unknown users are compared as long as those of known ones', async () => {
    const passwords = openPasswords();
    const known = await passwords.hash('tangerine-lamp');
    const fastest = { unknown: Number.POSITIVE_INFINITY, wrong: Number.POSITIVE_INFINITY };
    // In turns, and the fastest of each: what else the machine does then counts for little.
    for (let round = 0; round < 6; round += 1) {
      for (const [name, against] of Object.entries({ unknown: undefined, wrong: known })) {
        const startedAt = performance.now();
        await passwords.matches('wrong-password', against);
        const took = performance.now() - startedAt;
        fastest[name as 'unknown' | 'wrong'] = Math.min(fastest[name as 'unknown' | 'wrong'], took);
      }
    }
    const { unknown, wrong } = fastest;
    expect(unknown / wrong).toBeGreaterThan(0.5);
    expect(unknown / wrong).toBeLessThan(2);
  });

  it('are hashed so many at once; the line behind holds 50, the next is told to come later', async () => {
    const passwords = openPasswords({ ...cheap, atOnce: 2 });
    const asked = Array.from({ length: 60 }, () => passwords.hash('tangerine-lamp'));
    const verdicts = await Promise.allSettled(asked);
    const refused = verdicts.filter((verdict) => verdict.status === 'rejected');
    expect(refused).toHaveLength(8);
    expect(refused.every((verdict) => verdict.reason.code === 'rate_limited')).toBe(true);
    await expect(passwords.hash('tangerine-lamp')).resolves.toBeTypeOf('string');
  });

  it('are compared before those that wait to be hashed, whose line being full keeps nobody from comparing', async () => {
    const passwords = openPasswords({ ...cheap, atOnce: 1, waiting: 5 });
    const stored = await passwords.hash('tangerine-lamp');
    const order: string[] = [];
    const note = (what: string) => () => void order.push(what);
    const hashes = Array.from({ length: 10 }, () => passwords.hash('x').then(note('hash'), note('refused')));
    await Promise.all([passwords.matches('tangerine-lamp', stored).then(note('compared')), ...hashes]);
    expect(order).toEqual([...Array(4).fill('refused'), 'hash', 'compared', ...Array(5).fill('hash')]);
  });
});
