import type { FieldRule } from './fields.ts';
import { nearest } from './nearest.ts';

/** A value in canonical form, or why it is none. */
export type ReadValue =
  | { readonly text: string }
  | { readonly wrong: string; readonly did_you_mean?: string | undefined };

const longestText = 1_000;

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const noId = '00000000-0000-0000-0000-000000000000';

/** Brings the text of a value into the one form that means it. */
export function readValue({ form, words = [] }: FieldRule, raw: string): ReadValue {
  if (raw.length > longestText) return { wrong: `a value has at most ${longestText} characters` };
  switch (form) {
    case 'word':
      return readWord(raw, words);
    case 'text':
      return { text: raw };
    case 'number':
      return /^\d{1,9}$/.test(raw) ? { text: String(Number(raw)) } : { wrong: 'must be a whole number' };
    case 'size':
      return readSize(raw);
    case 'duration':
      return readDuration(raw);
    case 'time':
      return readTime(raw);
    case 'uuid':
      return uuid.test(raw) ? { text: raw.toLowerCase() } : { wrong: 'must be a UUID' };
    case 'id':
      return raw.length >= 8 && uuid.test(raw + noId.slice(raw.length))
        ? { text: raw.toLowerCase() }
        : { wrong: 'must be a UUID, or its first 8 characters or more' };
    case 'fingerprint':
      return /^[\w.-]{1,80}$/.test(raw) ? { text: raw } : { wrong: 'must be a fingerprint, or its first 8 characters' };
    case 'version':
      return /^[\w.+-]{1,100}$/.test(raw) ? { text: raw } : { wrong: 'must be a version, such as 1.4.0' };
    case 'presence':
      return { wrong: 'must be * (there is one) or none', did_you_mean: '*' };
  }
}

function readWord(raw: string, words: readonly string[]): ReadValue {
  const word = raw.toLowerCase();
  if (words.includes(word)) return { text: word };
  return { wrong: `must be one of ${words.join(', ')}`, did_you_mean: nearest(word, words) };
}

const sizeUnits: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };

function readSize(raw: string): ReadValue {
  const [, digits, unit = 'b'] = /^(\d{1,10}(?:\.\d{1,3})?)(b|kb|mb|gb)?$/i.exec(raw) ?? [];
  const bytes = Math.round(Number(digits) * (sizeUnits[unit.toLowerCase()] ?? Number.NaN));
  return bytes < 2 ** 31 ? { text: String(bytes) } : { wrong: 'must be a size below 2gb, such as 100kb' };
}

const secondsOf = [
  ['w', 604_800],
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
] as const;

const longestSeconds = 100 * 365 * 86_400;

function readDuration(raw: string): ReadValue {
  const seconds = durationSeconds(raw);
  const unit = secondsOf.find(([, length]) => seconds % length === 0);
  if (!unit || seconds > longestSeconds) return { wrong: 'must be a time span, such as 30m, 2h or 7d' };
  return { text: `${seconds / unit[1]}${unit[0]}` };
}

/** Seconds of a time span such as `90s`, `30m`, `2h`, `7d`, `1w`; NaN for anything else. */
export function durationSeconds(text: string): number {
  const [, digits, unit] = /^(\d{1,9})([smhdw])$/i.exec(text) ?? [];
  const length = secondsOf.find(([name]) => name === unit?.toLowerCase())?.[1];
  return Number(digits) * (length ?? Number.NaN);
}

const timeForm = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}:\d{2})?)?$/i;

function readTime(raw: string): ReadValue {
  const wrong = { wrong: 'must be a time, such as 2026-01-02T14:00Z' };
  const [, year, month, day, time = '00:00', zone = 'Z'] = timeForm.exec(raw) ?? [];
  if (year === undefined || month === undefined || day === undefined) {
    return Number.isNaN(durationSeconds(raw)) ? wrong : { wrong: `${wrong.wrong}; a time span goes with age` };
  }
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  if (date.getUTCMonth() + 1 !== Number(month) || Number(year) < 1900) return wrong;
  const at = new Date(`${year}-${month}-${day}T${time}${zone.toUpperCase()}`);
  return Number.isNaN(at.getTime()) ? wrong : { text: at.toISOString() };
}
