import { availableParallelism } from 'node:os';
import { type Algorithm, hash, verify } from '@node-rs/argon2';
import { refuse } from '../../errors.ts';

export interface PasswordOptions {
  /** Memory of one hash, in KiB. Default 65,536. */
  memoryKib?: number;
  /** Passes over the memory. Default 3: with it a hash takes at least 50 ms of a core of 2024. */
  passes?: number;
  /** Hashes computed at once. Default 2, and 1 where there are fewer than four cores: more would take them from everything else. */
  atOnce?: number;
  /** Callers that may wait to compare, and as many to hash. Default 50. */
  waiting?: number;
}

/**
 * Hashes passwords with argon2id, a few at a time. Each has a line of its own, and who compares goes first: registrations take no place
 * from sign-ins. Both refuse `rate_limited` when too many callers wait in theirs.
 */
export interface Passwords {
  hash(password: string): Promise<string>;
  /** Compares with the hash; without one compares with a decoy, so that an unknown user takes the time of a known one. */
  matches(password: string, passwordHash: string | undefined): Promise<boolean>;
}

export function openPasswords(options: PasswordOptions = {}): Passwords {
  const { memoryKib = 65_536, passes = 3, atOnce = availableParallelism() < 4 ? 1 : 2, waiting = 50 } = options;
  const cost = { algorithm: argon2id, memoryCost: memoryKib, timeCost: passes, parallelism: 1 };
  const decoy = `$argon2id$v=19$m=${memoryKib},t=${passes},p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`;
  const inTurn = turnstile(atOnce, waiting);
  return {
    hash: (password) => inTurn('hash', () => hash(password, cost)),
    matches: async (password, passwordHash) => {
      // What is no hash of ours stands for an account without a password: it takes as long, and matches nothing.
      const usable = passwordHash?.startsWith('$argon2id$') ? passwordHash : undefined;
      const same = await inTurn('compare', () => verify(usable ?? decoy, password));
      return same && usable !== undefined;
    },
  };
}

/** The enum is ambient, so its value has no counterpart at run time to import. */
const argon2id: Algorithm.Argon2id = 2;

/** Runs at most `atOnce` works. In each line the next `waiting` wait in order, those after them are refused; `compare` goes before `hash`. */
function turnstile(atOnce: number, waiting: number) {
  let running = 0;
  const lines: Record<'compare' | 'hash', (() => void)[]> = { compare: [], hash: [] };
  return async <T>(line: keyof typeof lines, work: () => Promise<T>): Promise<T> => {
    if (running >= atOnce) {
      if (lines[line].length >= waiting) throw refuse('rate_limited', { retry_after_s: 2 });
      // Whoever leaves hands over their place, so `running` stays as it is.
      await new Promise<void>((resolve) => lines[line].push(resolve));
    } else running += 1;
    try {
      return await work();
    } finally {
      const next = lines.compare.shift() ?? lines.hash.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
