import { isPersonalKey } from '../logging/index.ts';
import { openPaths } from './personal-paths.ts';

/** What stands in place of a personal value. */
const mask = '[masked]';
/** Shorter ones are in too many other words. */
const shortest = 3;
const mostValues = 200;

/**
 * Makes a function that replaces in a text, whatever its case, the personal values of a payload: all texts and numbers below keys that name
 * such, and at `paths` (JSON pointers). An error often repeats what it was about. `body` is a payload, or its JSON: what is no JSON has no
 * names to tell by.
 */
export function maskerOf(body: unknown, paths: readonly string[] = []): (text: string) => string {
  const values = personalValues(typeof body === 'string' ? parse(body) : body, openPaths(paths));
  if (values.length === 0) return (text) => text;
  const isThere = openSearch(values);
  let pattern: RegExp | undefined;
  return (text) => (isThere(text) ? text.replaceAll((pattern ??= patternOf(values)), mask) : text);
}

/** The longest first: a family name must not break up the full name. */
function patternOf(values: readonly string[]): RegExp {
  const parts = values.toSorted((one, two) => two.length - one.length).map(escaped);
  return new RegExp(parts.join('|'), 'giu');
}

/**
 * False only for a text that holds none of these values. Most texts hold none, and making and running their pattern was the dearest part of
 * describing a failure. Beyond ASCII, letters have other forms than the lower one, so there the pattern decides.
 */
function openSearch(values: readonly string[]): (text: string) => boolean {
  if (!values.every(isAscii)) return () => true;
  const lowered = values.map((value) => value.toLowerCase());
  return (text) => {
    if (!isAscii(text)) return true;
    const among = text.toLowerCase();
    return lowered.some((value) => among.includes(value));
  };
}

const isAscii = (text: string): boolean => /^\p{ASCII}*$/u.test(text);

const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);

interface Waiting {
  readonly value: unknown;
  readonly isPersonal: boolean;
  readonly steps: readonly string[];
}

/** Longer pointers are none: a payload may be nested so deep that keeping the way to each value would cost its square. */
const deepestDeclared = 32;

function personalValues(body: unknown, isDeclared: (steps: readonly string[]) => boolean): string[] {
  const values = new Set<string>();
  const waiting: Waiting[] = [{ value: body, isPersonal: false, steps: [] }];
  for (let one = waiting.pop(); one !== undefined && values.size < mostValues; one = waiting.pop()) {
    const { value, isPersonal, steps } = one;
    if (typeof value === 'object' && value !== null) {
      for (const [key, member] of Object.entries(value)) {
        const within = steps.length < deepestDeclared ? [...steps, key] : steps;
        waiting.push({
          value: member,
          isPersonal: isPersonal || isPersonalKey(key) || isDeclared(within),
          steps: within,
        });
      }
    } else if (isPersonal && (typeof value === 'string' || typeof value === 'number')) {
      const text = String(value).trim();
      if (text.length >= shortest && text.isWellFormed()) values.add(text);
    }
  }
  return [...values];
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
