import { maskText } from './masking.ts';

/** An error as it appears in `metadata.error`. */
export interface DescribedError {
  type: string;
  /** Masked, at most 2 KiB. */
  message: string;
  /** Masked, at most 20 frames over the whole chain; causes follow, 3 deep, each after a line `caused by: …`. */
  stack: string;
  code: string | null;
  /** True when message, stack or chain were longer. Never written itself: it becomes `metadata.truncated`. */
  truncated: boolean;
}

export const messageLimit = 2_048;
const frameLimit = 20;
const frameLength = 300;
const causeLimit = 3;

/** Shape of a thrown value, whatever it is. Masks personal data in message and stack. */
export function describeError(thrown: unknown): DescribedError {
  const chain = causesOf(thrown);
  const perError = Math.floor(frameLimit / chain.length);
  let truncated = chain.length > causeLimit && causeOf(chain.at(-1)) !== undefined;
  const parts = chain.map((link, index) => {
    const message = messageOf(link);
    const frames = framesOf(link);
    truncated ||= message.length > messageLimit || frames.length > perError;
    const header = `${index > 0 ? 'caused by: ' : ''}${typeOf(link)}: ${cutAndMask(message, index > 0 ? 512 : messageLimit)}`;
    return [header, ...frames.slice(0, perError).map((frame) => maskText(frame.slice(0, frameLength)))].join('\n');
  });
  const message = cutAndMask(messageOf(thrown), messageLimit);
  return { type: typeOf(thrown), message, stack: parts.join('\n'), code: codeOf(thrown), truncated };
}

/** Name of the error's class; `typeof` for a value that is no error. */
export function typeOf(thrown: unknown): string {
  if (!isErrorLike(thrown)) return thrown === null ? 'null' : typeof thrown;
  const name = typeof thrown.name === 'string' && thrown.name ? thrown.name : thrown.constructor?.name;
  return (name || 'Error').slice(0, 100);
}

function causesOf(thrown: unknown): unknown[] {
  const chain = [thrown];
  let next = causeOf(thrown);
  while (next !== undefined && chain.length <= causeLimit && !chain.includes(next)) {
    chain.push(next);
    next = causeOf(next);
  }
  return chain;
}

function causeOf(thrown: unknown): unknown {
  if (!isErrorLike(thrown)) return undefined;
  return thrown.cause ?? (Array.isArray(thrown.errors) && isErrorLike(thrown.errors[0]) ? thrown.errors[0] : undefined);
}

function messageOf(thrown: unknown): string {
  if (isErrorLike(thrown)) return thrown.message || (codeOf(thrown) ?? '');
  // The content of a thrown object is not known to be harmless; its text is not written.
  return typeof thrown === 'object' && thrown !== null ? 'a thrown object' : String(thrown);
}

function framesOf(thrown: unknown): string[] {
  if (!isErrorLike(thrown) || typeof thrown.stack !== 'string') return [];
  // A stack repeats the message first, which may be of any length and may itself hold lines.
  const header = `${typeOf(thrown)}: ${thrown.message}`;
  const at = thrown.stack.startsWith(header) ? header.length : 0;
  return thrown.stack
    .slice(at, at + 20_000)
    .split('\n')
    .filter((line) => /^\s+at /.test(line));
}

function codeOf(thrown: unknown): string | null {
  const code = isErrorLike(thrown) ? thrown.code : undefined;
  return typeof code === 'string' || typeof code === 'number' ? String(code).slice(0, 64) : null;
}

/** Masks before cutting, so that a cut through a number leaves no part of it; the first cut only bounds the work. */
function cutAndMask(text: string, limit: number): string {
  return maskText(text.slice(0, limit * 2)).slice(0, limit);
}

interface ErrorLike {
  name?: unknown;
  message: string;
  stack?: unknown;
  code?: unknown;
  cause?: unknown;
  errors?: unknown;
}

function isErrorLike(value: unknown): value is ErrorLike {
  if (value instanceof Error) return true;
  return typeof value === 'object' && value !== null && typeof (value as ErrorLike).message === 'string';
}
