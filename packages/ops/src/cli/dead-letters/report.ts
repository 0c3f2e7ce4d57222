import type { Report } from '../contract.ts';
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
    printReport(run.terminal, report, { hours, filter });
  },
});

function printReport(terminal: Terminal, report: Report, { hours, filter }: { hours: number; filter: string }): void {
  const { totals, trend, by_hour, by_queue, by_error, by_cause } = report;
  terminal.line(`filter: ${filter || 'none'}; the last ${hours} h, in brackets those before`, 'dim');
  facts(terminal, [
    ['captured', `${withBefore(totals.captured)}, ${trendText(trend)}`],
    ['retried with success', withBefore(totals.retried_ok)],
    ['resolved', withBefore(totals.resolved)],
    ['discarded', withBefore(totals.discarded)],
    ['open now', valueOf(totals.open_now)],
    ['oldest open', duration(numberOf(totals.oldest_open_s))],
    ['median time to close', duration(numberOf(totals.median_time_to_close_s))],
    ['by hour', sparkline(by_hour.map(({ captured }) => captured ?? 0))],
  ]);
  section(
    terminal,
    'queue',
    by_queue.map((row) => [row.queue_name ?? row.queue ?? row.name ?? '', countOf(row)]),
  );
  section(
    terminal,
    'cause',
    by_cause.map((row) => [row.cause ?? '', countOf(row)]),
  );
  section(
    terminal,
    'failure',
    by_error.map((row) => [`${row.title ?? ''}${row.new ? ' (new)' : ''}`, countOf(row)]),
  );
}

type Row = Report['by_queue'][number];

const countOf = (row: Row): number => row.count ?? row.captured ?? 0;

function section(terminal: Terminal, title: string, rows: readonly (readonly [string, number])[]): void {
  if (rows.length === 0) return;
  terminal.line();
  terminal.table<readonly [string, number]>(
    [
      { title, of: ([name]) => name, least: 20 },
      { title: 'count', of: ([, count]) => String(count), align: 'right' },
    ],
    rows,
  );
}

type Total = Report['totals'][string];

function numberOf(total: Total | undefined): number | null {
  return typeof total === 'object' && total !== null ? total.value : (total ?? null);
}

function valueOf(total: Total | undefined): string {
  return String(numberOf(total) ?? '–');
}

function withBefore(total: Total | undefined): string {
  const before = typeof total === 'object' && total !== null ? total.previous : undefined;
  return before === undefined ? valueOf(total) : `${valueOf(total)} (${before})`;
}

function trendText(trend: Report['trend']): string {
  return typeof trend === 'string' ? trend : (trend?.direction ?? trend?.trend ?? '');
}
