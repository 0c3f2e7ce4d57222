const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

const words: readonly (readonly [from: number, unit: number, name: string])[] = [
  [3 * day, day, 'd'],
  [3 * hour, hour, 'h'],
  [3 * minute, minute, 'min'],
];

/** A length of time in one number and its unit: `40 s`, `12 min`, `3 h`, `5 d`. `–` when it is not known. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '–';
  const [, unit = 1, name = 's'] = words.find(([from]) => seconds >= from) ?? [];
  return `${Math.max(0, Math.floor(seconds / unit))} ${name}`;
}

/** How long ago that was. */
export function age(at: string | null | undefined, now: Date): string {
  if (!at) return '–';
  return duration((now.getTime() - Date.parse(at)) / 1_000);
}

/** `2026-01-02 14:30:00Z`, which is shorter than ISO 8601 and as exact as a person wants it. */
export function moment(at: string | null | undefined): string {
  if (!at) return '–';
  return at.replace('T', ' ').replace(/(?:\.\d+)?Z$/, 'Z');
}

const units: Readonly<Record<string, number>> = { s: 1, m: minute, min: minute, h: hour, d: day };

/** Seconds of `90s`, `30m`, `4h` or `2d`; undefined for anything else. */
export function readDuration(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d{1,7}) ?(s|m|min|h|d)$/.exec(text.trim()) ?? [];
  const factor = units[unit];
  return number === undefined || factor === undefined ? undefined : Number(number) * factor;
}
