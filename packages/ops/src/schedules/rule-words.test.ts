import { expect, it } from 'vitest';
import { ruleWords } from './rule-words.ts';

it.each([
  ['*/5 * * * *', 'UTC', 'every 5 minutes'],
  ['* * * * *', 'UTC', 'every minute'],
  ['0 3 * * *', 'UTC', 'every day at 03:00 UTC'],
  ['0 0 * * 0', 'UTC', 'Sundays at 00:00 UTC'],
  ['30 0 1 * *', 'Europe/Berlin', 'on day 1 of each month at 00:30 in Europe/Berlin'],
  ['15 * * * *', 'UTC', 'every hour, 15 min past'],
  ['0 */6 * * *', 'UTC', 'every 6 hours, 0 min past'],
  ['*/10 * * * * *', 'UTC', 'every 10 seconds'],
  ['0 9-17 * * 1-5', 'UTC', 'cron 0 9-17 * * 1-5 UTC'],
])('%s in %s is "%s"', (cron, timeZone, words) => {
  expect(ruleWords({ cron, timeZone })).toBe(words);
});
