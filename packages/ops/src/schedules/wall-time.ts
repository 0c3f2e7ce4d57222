/** Milliseconds since 1970 that a wall clock would show if it stood in UTC: a date and time without a place. */
export type WallTime = number;

const day = 86_400_000;
const formats = new Map<string, Intl.DateTimeFormat>();

/** What the clocks of a time zone show at an instant. Throws RangeError for a zone that is not known. */
export function wallTimeAt(instant: number, timeZone: string): WallTime {
  return instant + offsetAt(instant, timeZone);
}

/**
 * The instant at which the clocks of a time zone show a wall time. A time that they show twice is the first of both; one that they skip is
 * the first instant after the gap.
 */
export function instantOf(wall: WallTime, timeZone: string): number {
  if (timeZone === 'UTC') return wall;
  const before = offsetAt(wall - day, timeZone);
  const after = offsetAt(wall + day, timeZone);
  const shown = [wall - before, wall - after].filter((instant) => wallTimeAt(instant, timeZone) === wall);
  return shown.length > 0 ? Math.min(...shown) : changeBetween(wall - after, wall - before, timeZone);
}

/** The first instant of the new offset, between two instants with different offsets. Changes fall on whole seconds. */
function changeBetween(before: number, after: number, timeZone: string): number {
  const old = offsetAt(before, timeZone);
  let [low, high] = [Math.floor(before / 1_000), Math.ceil(after / 1_000)];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(middle * 1_000, timeZone) === old) low = middle;
    else high = middle;
  }
  return high * 1_000;
}

/** How far the clocks of a time zone are ahead of UTC, in ms. */
function offsetAt(instant: number, timeZone: string): number {
  if (timeZone === 'UTC') return 0;
  const second = Math.floor(instant / 1_000) * 1_000;
  const part = Object.fromEntries(
    formatOf(timeZone)
      .formatToParts(second)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const { year = 0, month = 1, day: date = 1, hour = 0, minute = 0, second: seconds = 0 } = part;
  return Date.UTC(year, month - 1, date, hour, minute, seconds) - second;
}

/** Making one costs more than all its uses. */
function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      calendar: 'gregory',
      numberingSystem: 'latn',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(timeZone, format);
  }
  return format;
}
