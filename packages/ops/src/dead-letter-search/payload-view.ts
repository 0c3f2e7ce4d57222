import { depthOf } from '../queues/index.ts';
import { maskJson } from './payload-mask.ts';

/** A payload as it is stored. */
export interface StoredPayload {
  readonly version: number;
  readonly encoding: 'json' | 'escaped' | 'bytes';
  readonly body: string | null;
  readonly bytes: Buffer | null;
  readonly sha256: string;
}

/** A payload as it is shown. */
export interface PayloadView {
  /** Null when it is no JSON, was not kept, is cut, or nests deeper than an answer can. */
  readonly value: unknown;
  readonly text: string | null;
  readonly encoding: 'json' | 'text' | 'base64' | null;
  /** Null in clear. */
  readonly masked: string[] | null;
  readonly truncated: boolean;
}

/** Longest payload that is part of an answer, in characters. */
export const longestShown = 64 * 1024;
/** Deepest payload that is shown as a value: writing deeper ones may run out of stack. */
const deepestShown = 500;

interface PayloadReader {
  readonly isClear: boolean;
  /** Characters. */
  readonly most?: number;
  /** Masked besides what keys tell. */
  readonly paths?: readonly string[] | undefined;
}

/** What of a payload an operator sees. Of what is no JSON, nothing is shown while it is masked: there are no names to tell by. */
export function viewPayload(
  stored: StoredPayload | undefined,
  { isClear, most = Number.POSITIVE_INFINITY, paths }: PayloadReader,
): PayloadView {
  if (!stored) return { value: null, text: null, encoding: null, masked: isClear ? null : [], truncated: false };
  const { body, bytes } = stored;
  if (body !== null && isJson(body)) return viewJson(body, { isClear, most, paths });
  const encoding = body === null ? 'base64' : 'text';
  if (!isClear) return { value: null, text: null, encoding, masked: ['$'], truncated: false };
  return { value: null, encoding, masked: null, ...cut(body ?? bytes?.toString('base64') ?? '', most) };
}

function viewJson(body: string, { isClear, most, paths }: PayloadReader & { most: number }): PayloadView {
  const shown = isClear ? { text: body, masked: null } : maskJson(body, paths);
  const { text, truncated } = cut(shown.text, most);
  const value: unknown = truncated || depthOf(text) > deepestShown ? null : JSON.parse(text);
  return { value, text, encoding: 'json', masked: shown.masked, truncated };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The beginning of a text that is too long, without half a character at its end. */
function cut(text: string, most: number): { text: string; truncated: boolean } {
  if (text.length <= most) return { text, truncated: false };
  const isSplit = /[\ud800-\udbff]/.test(text[most - 1] ?? '');
  return { text: text.slice(0, isSplit ? most - 1 : most), truncated: true };
}
