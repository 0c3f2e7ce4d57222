import type { Report, ReportFigure } from '../contract.ts';
import { command, wholeNumber } from '../command.ts';
import { duration } from '../print/ages.ts';
import { facts, type Terminal } from '../print/terminal.ts';
import { get } from '../run.ts';
import { filterText, type Selection, selectionOptions } from './filter-text.ts';
import { sparkline } from './groups.ts';

interface ReportOptions extends Selection {
  readonly hours: number;
}

export const reportCommand = command<ReportOptions>({
  usage: 'report [filter...]',
  summary: 'what died and what became of it, by queue, failure and hour',
  options: [
    ...selectionOptions,
    { flags: '--hours <n>', meaning: 'of the last so many hours, 1 to 720', read: wholeNumber(1, 720), default: 24 },
  ],
  act: async (run, words, { hours, ...selection }) => {
    const filter = filterText(words, { ...selection, allStates: true });
    const report = await get<Report>(run, '/queues/dlq/report', { hours, q: filter || undefined });
    if (run.output.json) return run.terminal.json(report, 2);
    printReport(run.terminal, report);
  },
});

function printReport(terminal: Terminal, report: Report): void {
  const { totals, trend, by_hour, by_queue, by_error, by_cause } = report;
  terminal.line(`filter: ${report.filter || 'none'}; the last ${report.hours} h, in brackets those before`, 'dim');
  const { direction, rate_per_h, previous_rate_per_h } = trend;
  facts(terminal, [
    ['captured', `${withBefore(totals.captured)}`],
    [
      'deaths',
      `${withBefore(totals.deaths)}, ${direction}: ${round(rate_per_h)} an hour after ${round(previous_rate_per_h)}`,
    ],
    ['retried with success', withBefore(totals.retried_ok)],
    ['resolved', withBefore(totals.resolved)],
    ['discarded', withBefore(totals.discarded)],
    ['open now', withBefore(totals.open_now)],
    ['oldest open', duration(totals.oldest_open_s)],
    ['median time to close', duration(totals.median_time_to_close_s)],
    ['deaths by hour', sparkline(by_hour.slice(-48).map(({ deaths }) => deaths))],
  ]);
  section(
    terminal,
    'queue',
    by_queue.map(({ queue, deaths }) => [queue, deaths]),
  );
  section(
    terminal,
    'cause',
    by_cause.map(({ cause, count }) => [cause, count]),
  );
  section(
    terminal,
    'failure',
    by_error.slice(0, 10).map((each) => [`${each.title}${each.new ? ' (new)' : ''}`, each.count]),
  );
}

function section(terminal: Terminal, title: string, rows: readonly (readonly [string, number])[]): void {
  if (rows.length === 0) return;
  terminal.line();
  terminal.table<readonly [string, number]>(
    [
      { title: 'deaths', of: ([, count]) => String(count), align: 'right' },
      { title, of: ([name]) => name, least: 20 },
    ],
    rows,
  );
}

function withBefore({ value, previous }: ReportFigure): string {
  return `${value} (${previous})`;
}

const round = (rate: number): string => String(Math.round(rate * 10) / 10);
