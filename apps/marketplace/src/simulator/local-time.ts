const hourMs = 3_600_000;

const formats = new Map<string, Intl.DateTimeFormat>();
const offsets = new Map<string, Map<number, number>>();

/** What a clock in the zone is ahead of UTC, in ms. Zones of the US change at whole hours of UTC, so each hour is asked once. */
function offsetOf(zone: string, at: number): number {
  const hour = Math.floor(at / hourMs);
  const known = offsets.get(zone) ?? new Map<number, number>();
  offsets.set(zone, known);
  let offset = known.get(hour);
  if (offset === undefined) {
    offset = readOffset(zone, hour * hourMs);
    known.set(hour, offset);
  }
  return offset;
}

function readOffset(zone: string, at: number): number {
  const format =
    formats.get(zone) ??
    new Intl.DateTimeFormat('en-US', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium', hourCycle: 'h23' });
  formats.set(zone, format);
  return Date.parse(`${format.format(at)} UTC`) - at;
}

/** The day in the zone, as `2026-03-08`. */
export function localDay(zone: string, at: number): string {
  return new Date(at + offsetOf(zone, at)).toISOString().slice(0, 10);
}

/** Hour of the day and day of the week (0 is Sunday) in the zone. */
export function localHour(zone: string, at: number): { hour: number; weekday: number } {
  const local = new Date(at + offsetOf(zone, at));
  return { hour: local.getUTCHours(), weekday: local.getUTCDay() };
}
