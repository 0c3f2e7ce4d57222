import type { Rule } from './fire-times.ts';

const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];

/** A rule in words where it is of a usual form (`every 5 minutes`, `Sundays at 00:00`), else as it is written. */
export function ruleWords({ cron, timeZone }: Rule): string {
  const words = usualWords(cron.trim().split(/\s+/));
  if (words === undefined) return `cron ${cron}${zoneWords(timeZone)}`;
  return words.includes(' at ') ? `${words}${zoneWords(timeZone)}` : words;
}

function zoneWords(timeZone: string): string {
  return timeZone === 'UTC' ? ' UTC' : ` in ${timeZone}`;
}

function usualWords(fields: readonly string[]): string | undefined {
  if (fields.length === 6) return secondsWords(fields);
  const [minute = '', hour = '', date, month, weekday = ''] = fields;
  if (month !== '*') return undefined;
  if (date === '*' && weekday === '*' && hour === '*') return minuteWords(minute);
  if (!/^\d+$/.test(minute)) return undefined;
  if (date === '*' && weekday === '*' && isStep(hour)) return `${every(hour, 'hour')}, ${minute} min past`;
  if (!/^\d+$/.test(hour)) return undefined;
  const time = `at ${hour.padStart(2, '0')}:${minute.padStart(2, '0')}`;
  if (date === '*' && weekday === '*') return `every day ${time}`;
  if (date === '*' && weekdays[Number(weekday)]) return `${weekdays[Number(weekday)]}s ${time}`;
  return /^\d+$/.test(date ?? '') && weekday === '*' ? `on day ${date} of each month ${time}` : undefined;
}

function secondsWords([second = '', ...rest]: readonly string[]): string | undefined {
  if (rest.some((field) => field !== '*')) return undefined;
  return second === '*' || isStep(second) ? every(second, 'second') : undefined;
}

function minuteWords(minute: string): string | undefined {
  if (minute === '*' || isStep(minute)) return every(minute, 'minute');
  return /^\d+$/.test(minute) ? `every hour, ${minute} min past` : undefined;
}

function isStep(field: string): boolean {
  return /^\*\/\d+$/.test(field);
}

function every(field: string, unit: string): string {
  const step = field === '*' ? 1 : Number(field.slice(2));
  return step === 1 ? `every ${unit}` : `every ${step} ${unit}s`;
}
