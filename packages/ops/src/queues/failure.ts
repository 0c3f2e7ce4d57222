import { maskText } from '../logging/index.ts';
import { databaseFailure } from '../postgres/index.ts';
import { RedisTimeout } from '../redis/index.ts';
import { InvalidPayload, PermanentError } from './outcome.ts';
import { maskerOf } from './personal-values.ts';

/** How a failed attempt is treated: `guarantees` of the plane, in `docs/reference/jobs.md`. */
export type FailureClass = 'permanent' | 'invalid' | 'transient' | 'conflict' | 'infrastructure' | 'ambiguous';

/** A thrown value as evidence: masked, capped, and always the same shape. */
export interface Failure {
  readonly class: FailureClass;
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly code: string | null;
  /** What the thrown error asked to be grouped under. */
  readonly fingerprint?: string;
}

const longestMessage = 8 * 1024;
const longestType = 200;
const longestStack = 16 * 1024;
const deepestCause = 3;

/** Aborts the attempts that run when the process must stop: their end is nobody's fault. */
export class ShutdownAbort extends Error {
  override name = 'ShutdownAbort';
}

/** The attempt ran longer than its kind allows. */
export class JobTimeout extends Error {
  override name = 'JobTimeout';
}

/**
 * Turns whatever was thrown (also `undefined`, strings, circular objects) into evidence. Never throws. Personal values of the payload
 * `body`, also those at `paths`, are masked wherever the error repeats them.
 */
export function describeFailure(thrown: unknown, body?: unknown, paths?: readonly string[]): Failure {
  const error = thrown instanceof Error ? thrown : undefined;
  const maskPersonal = maskerOf(body, paths);
  const mask = (text: string, longest: number) => clip(maskText(maskPersonal(clip(text, longest))), longest);
  return {
    class: classify(thrown),
    type: clip(maskPersonal(clip(textOf(() => error?.name) || typeof thrown, longestType)), longestType),
    message: mask(textOf(() => (error ? error.message : thrown)) ?? '', longestMessage),
    stack: mask(stackOf(error), longestStack),
    code: codeOf(error, maskPersonal),
    ...ownFingerprint(error),
  };
}

function codeOf(error: Error | undefined, mask: (text: string) => string): string | null {
  const code = textOf(() => (error as { code?: unknown } | undefined)?.code);
  return code === undefined ? null : mask(code.slice(0, 100)).slice(0, 100);
}

/** Fingerprints that an error brings along: short, and of harmless characters. */
function ownFingerprint(error: Error | undefined): { fingerprint?: string } {
  const fingerprint = textOf(() => (error as { fingerprint?: unknown } | undefined)?.fingerprint);
  return fingerprint !== undefined && /^[\w.-]{1,64}$/.test(fingerprint) ? { fingerprint } : {};
}

/** The evidence as an error again, for the log. */
export function asError(failure: Failure): Error {
  const error = withoutStack(() => new Error(failure.message));
  error.name = failure.type;
  error.stack = failure.stack;
  return error;
}

/** Makes an error that nobody asks where it was made: walking the stack is most of what an error costs. */
export function withoutStack<E extends Error>(make: () => E): E {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = limit;
  }
}

function classify(thrown: unknown): FailureClass {
  try {
    if (thrown instanceof InvalidPayload) return 'invalid';
    if (thrown instanceof PermanentError) return 'permanent';
    if (thrown instanceof ShutdownAbort || thrown instanceof RedisTimeout) return 'infrastructure';
    return databaseFailure(thrown) ?? 'transient';
  } catch {
    return 'transient';
  }
}

function stackOf(error: Error | undefined, depth = 0): string {
  if (!error || depth > deepestCause) return '';
  const cause = error.cause instanceof Error ? `\ncaused by: ${stackOf(error.cause, depth + 1)}` : '';
  return `${textOf(() => error.stack) ?? ''}${cause}`;
}

/** Getters and proxies may throw; evidence is still wanted. */
function textOf(read: () => unknown): string | undefined {
  try {
    const value = read();
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string') return value;
    // oxlint-disable-next-line typescript/no-base-to-string -- objects went the other way
    return typeof value === 'object' ? JSON.stringify(value) : String(value);
  } catch {
    return undefined;
  }
}

/** Cuts a text, and replaces what Postgres refuses in one: NUL and halves of surrogate pairs. */
function clip(text: string, length: number): string {
  return text.slice(0, length).toWellFormed().replaceAll('\u0000', '\ufffd');
}
