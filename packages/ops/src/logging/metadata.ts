import { describeError, messageLimit } from './errors.ts';
import { isSensitiveKey, maskText, maskValue } from './masking.ts';

/** Context of a line: ids, counts, units in the names (`duration_ms`). Never objects of the domain, never personal data. */
export type Meta = Record<string, unknown>;

const depthLimit = 4;
const itemLimit = 20;
const keyLimit = 100;
// Characters; leaves room in the 16 KiB of a line for the other fields and for escaping.
const sizeLimit = 12_000;
const cut = '[truncated]';

interface Progress {
  left: number;
  truncated: boolean;
}

/**
 * A plain copy of `metadata` that is safe to write: sensitive keys redacted, texts masked, arrays, depth and size limited
 * (`truncated: true` then), errors described. Throws what a getter of it throws.
 */
export function prepareMetadata(metadata: Meta | undefined, extra?: Meta): Meta {
  const progress: Progress = { left: sizeLimit, truncated: false };
  const copy = copyRecord(metadata ?? {}, 1, progress);
  if (extra) Object.assign(copy, extra);
  if (progress.truncated) copy.truncated = true;
  return copy;
}

/** As {@link prepareMetadata}, with the described error under `error`. */
export function prepareErrorMetadata(error: unknown, metadata: Meta | undefined, extra?: Meta): Meta {
  const { truncated, ...described } = describeError(error);
  const copy = prepareMetadata(metadata, extra);
  copy.error = described;
  if (truncated) copy.truncated = true;
  return copy;
}

function copyRecord(record: object, depth: number, progress: Progress): Meta {
  const copy: Meta = {};
  let keys = 0;
  for (const key of Object.keys(record)) {
    if (++keys > keyLimit || progress.left < 0) {
      progress.truncated = true;
      break;
    }
    const value = (record as Meta)[key];
    if (value === undefined) continue;
    progress.left -= key.length + 8;
    const written = isSensitiveKey(key) && value !== null ? '[redacted]' : copyValue(value, depth + 1, progress);
    if (key === '__proto__') Object.defineProperty(copy, key, { value: written, enumerable: true });
    else copy[key] = written;
  }
  return copy;
}

function copyValue(value: unknown, depth: number, progress: Progress): unknown {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'boolean':
      return value;
    case 'string':
      return copyText(value, progress);
    case 'bigint':
      return value.toString();
    case 'object':
      return value === null ? null : copyObject(value, depth, progress);
    default:
      return `[${typeof value}]`;
  }
}

function copyText(text: string, progress: Progress): string {
  const limit = Math.max(0, Math.min(messageLimit, progress.left));
  if (text.length <= limit) {
    progress.left -= text.length;
    return maskValue(text);
  }
  progress.truncated = true;
  progress.left -= limit;
  return maskText(text.slice(0, limit * 2)).slice(0, limit);
}

function copyObject(value: object, depth: number, progress: Progress): unknown {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (value instanceof Error) return copyError(value, progress);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (depth > depthLimit) {
    progress.truncated = true;
    return cut;
  }
  if (value instanceof Set) return copyItems([...value.values()], depth, progress);
  if (value instanceof Map) return copyRecord(Object.fromEntries(value), depth, progress);
  return Array.isArray(value) ? copyItems(value, depth, progress) : copyRecord(value, depth, progress);
}

function copyError(error: Error, progress: Progress) {
  const { truncated, ...described } = describeError(error);
  progress.truncated ||= truncated;
  progress.left -= described.message.length + described.stack.length;
  return described;
}

function copyItems(items: readonly unknown[], depth: number, progress: Progress): unknown[] {
  if (items.length > itemLimit) progress.truncated = true;
  const copies: unknown[] = [];
  for (const item of items.slice(0, itemLimit)) {
    if (progress.left < 0) {
      progress.truncated = true;
      break;
    }
    progress.left -= 4;
    copies.push(copyValue(item, depth + 1, progress));
  }
  return copies;
}
