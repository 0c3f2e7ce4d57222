import { applyPatch, createPatch, type Operation } from 'rfc6902';
import type { JobKind } from '../queues/index.ts';
import { refuse } from '../refusals/index.ts';

/** An edit of a payload, checked and not yet written. */
export interface Edited {
  readonly text: string;
  /** Paths that differ, as JSON pointers. */
  readonly changed: readonly string[];
  /** What differs, as a JSON Patch from the stored payload. */
  readonly diff: readonly Operation[];
}

/**
 * Applies a JSON Patch to the exact text of a payload. Pure. Throws refusal `patch_failed` (it does not apply, or numbers of the text would
 * change by being read), `path_locked` (the kind forbids the path) or `payload_invalid` (the result breaks the kind's schema).
 */
export function editPayload(text: string | null, patch: readonly Operation[], kind: JobKind): Edited {
  const before = readExactly(text, patch);
  const after = applied(before, patch);
  const diff = createPatch(before, after);
  const paths = [...new Set(diff.map(({ path }) => path))];
  const locked = paths.find((path) => (kind.lockedPaths ?? []).some((lock) => overlaps(path, lock)));
  if (locked !== undefined) throw refuse('path_locked', { path: locked, locked: kind.lockedPaths });
  const checked = kind.schema.safeParse(after);
  if (!checked.success) {
    const faults = checked.error.issues.map((issue) => ({
      at: issue.path.join('.') || 'payload',
      message: issue.message,
    }));
    throw refuse('payload_invalid', { faults });
  }
  return { text: JSON.stringify(after), changed: paths.map(storable), diff };
}

/** A path as Postgres takes it: keys of a payload may hold anything. */
function storable(path: string): string {
  return path.toWellFormed().replaceAll('\u0000', '\ufffd');
}

/** A change of a parent changes what is locked below it, and the other way round. */
function overlaps(path: string, lock: string): boolean {
  return path === lock || path.startsWith(`${lock}/`) || lock.startsWith(`${path}/`) || path === '';
}

function replacesWhole(patch: readonly Operation[]): boolean {
  return patch[0]?.op === 'replace' && patch[0].path === '';
}

function readExactly(text: string | null, patch: readonly Operation[]): unknown {
  if (text === null || !isJson(text)) {
    if (replacesWhole(patch)) return null;
    throw refuse('patch_failed', { why: 'the payload is not JSON: replace it whole, with path ""' });
  }
  const value: unknown = JSON.parse(text);
  if (replacesWhole(patch) || numbersSurvive(text, value)) return value;
  throw refuse('patch_failed', {
    why: 'the payload holds numbers that would lose digits: replace it whole, with path ""',
  });
}

/** A captured text is what the job carried, whatever that was. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether writing the value again gives every number of the text. */
function numbersSurvive(text: string, value: unknown): boolean {
  const numbers = (json: string) =>
    json.replace(/"(?:[^"\\]|\\.)*"/g, '').match(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g) ?? [];
  return numbers(text).join(' ') === numbers(JSON.stringify(value)).join(' ');
}

function applied(before: unknown, patch: readonly Operation[]): unknown {
  const holder = { payload: structuredClone(before) };
  const operations = patch.map((operation) => ({
    ...operation,
    path: `/payload${operation.path}`,
    ...('from' in operation && { from: `/payload${operation.from}` }),
  }));
  const failed = applyPatch(holder, operations).findIndex((fault) => fault !== null);
  if (failed >= 0) {
    const operation = patch[failed];
    throw refuse('patch_failed', {
      at: failed,
      op: operation?.op,
      path: operation?.path,
      why: 'the operation does not apply',
    });
  }
  return holder.payload;
}
