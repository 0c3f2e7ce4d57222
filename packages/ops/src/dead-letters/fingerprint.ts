import { createHash } from 'node:crypto';

/** What a dead letter is grouped by. Version 1 of the classifier: a pure function, linear in the length of its input. */
export interface Classified {
  /** `v1_` and 16 hex digits; or what the thrown error brought along. */
  readonly fingerprint: string;
  readonly title: string;
  readonly errorType: string;
  /** The message with everything that varies replaced by placeholders. */
  readonly message: string;
  /** The first own frame, `file:function`; null without one. */
  readonly frame: string | null;
}

export interface ToClassify {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  /** Used as the type of a death without an error. */
  readonly cause: string;
  /** What the thrown error asked to be grouped under. */
  readonly fingerprint?: string | undefined;
}

/** Number of the classifier; letters keep the fingerprint of the one that captured them. */
export const classifier = 1;
const longestMessage = 200;
/** Enough to find 200 characters of message in, and a bound on the work. */
const longestInput = 2_000;

export function fingerprintOf({ type, message, stack, cause, fingerprint }: ToClassify): Classified {
  const errorType = type || cause;
  const normal = normalise(message);
  const frame = firstOwnFrame(stack);
  return {
    fingerprint: fingerprint ?? digestOf(JSON.stringify([errorType, normal, frame])),
    title: normal === '' ? errorType : `${errorType}: ${normal}`,
    errorType,
    message: normal,
    frame,
  };
}

/** Groups whose fingerprint is remembered: a storm of deaths has few, and hashing was a quarter of classifying them. */
const mostRemembered = 1_000;
const digests = new Map<string, string>();

function digestOf(inputs: string): string {
  let digest = digests.get(inputs);
  if (digest === undefined) {
    digest = `v${classifier}_${createHash('sha256').update(inputs).digest('hex').slice(0, 16)}`;
    if (digests.size >= mostRemembered) digests.clear();
    digests.set(inputs, digest);
  }
  return digest;
}

/**
 * Each pattern is a plain run of character classes without nesting, so none can backtrack far. It is tried only on a text with one of the
 * characters that any match of it holds: most messages have few of them.
 */
const placeholders: readonly (readonly [holds: string, pattern: RegExp, placeholder: string])[] = [
  ['/', /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s"'<>]+/gi, '<url>'],
  ['@', /[^\s"'<>@]{1,64}@[^\s"'<>@]{1,128}/g, '<address>'],
  ['-', /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '<id>'],
  ['-', /\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?/g, '<time>'],
  ['-:', /\d{4}-\d\d-\d\d|\b\d\d:\d\d:\d\d\b/g, '<time>'],
  [
    '.:',
    /\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b|\[?(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}\]?(?::\d{1,5})?/gi,
    '<host>',
  ],
  [`"'\`“`, /"[^"\n]*"|'[^'\n]*'|`[^`\n]*`|“[^”\n]*”/g, '<text>'],
  ['_-', /\b(?=[0-9a-z_-]*\d)[0-9a-z]{1,40}(?:[_-][0-9a-z]{1,40}){2,8}\b/gi, '<id>'],
  ['0123456789', /\b0x[0-9a-f]+\b|\b(?=[0-9a-f]*\d)[0-9a-f]{12,64}\b/gi, '<id>'],
  ['0123456789', /\d+(?:[.,]\d+)*/g, '<n>'],
];

function holdsOneOf(text: string, characters: string): boolean {
  for (const character of characters) if (text.includes(character)) return true;
  return false;
}

function normalise(message: string): string {
  let text = message.slice(0, longestInput);
  const trace = text.search(/\n\s+at /);
  if (trace >= 0) text = text.slice(0, trace);
  for (const [holds, pattern, placeholder] of placeholders)
    if (holdsOneOf(text, holds)) text = text.replace(pattern, placeholder);
  return text.replace(/\s+/g, ' ').trim().slice(0, longestMessage).toWellFormed();
}

/** Frames read at most; a deeper own frame says little. */
const mostFrames = 50;

function firstOwnFrame(stack: string): string | null {
  for (const line of stack.slice(0, 16_384).split('\n', mostFrames)) {
    const frame = /^\s+at (?:async )?(?:(?<name>[^(]{1,200}) \()?(?<place>[^()]{1,500}?)\)?$/.exec(line)?.groups;
    if (!frame?.place || /node:|node_modules|^native$|<anonymous>/.test(frame.place)) continue;
    const file = frame.place
      .replace(/:\d+(?::\d+)?$/, '')
      .replace(/^file:\/\//, '')
      .split(/[/\\]/)
      .slice(-2)
      .join('/');
    return `${file}:${frame.name?.trim() ?? 'anonymous'}`;
  }
  return null;
}
