import type { Schedule, ScheduleList, ScheduleRun, ScheduleRuns } from '../contract.ts';
import { command, wholeNumber } from '../command.ts';
import { age, duration, moment } from '../print/ages.ts';
import type { Column } from '../print/table.ts';
import type { Style } from '../print/terminal.ts';
import { get } from '../run.ts';

export const pathOf = (schedule: string): string => `/schedules/${encodeURIComponent(schedule)}`;

export const scheduleListCommand = command({
  usage: 'list',
  summary: 'every schedule: its rule, its last and next run, what was late or missed',
  act: async (run) => {
    const { schedules } = await get<ScheduleList>(run, '/schedules');
    const { terminal, output, now } = run;
    if (output.quiet) return schedules.forEach(({ name }) => terminal.line(name));
    if (output.json) return schedules.forEach((schedule) => terminal.json(schedule));
    if (schedules.length === 0) return terminal.line('No schedules.');
    terminal.table(scheduleColumns(now()), schedules);
    for (const { name, drift } of schedules)
      for (const kind of drift) terminal.sentence(`${name}: ${driftWords[kind]}`, { style: 'yellow' });
  },
});

const driftWords: Readonly<Record<Schedule['drift'][number], string>> = {
  removed: 'is not configured any more',
  changed: 'fires by another rule than is configured here, until a scheduler of this version leads',
  not_recorded: 'no scheduler has taken it over yet',
  behind: 'its next run lies in the past: see that a scheduler runs',
};

const stateStyles: Readonly<Record<string, Style>> = { failed: 'red', missed: 'red', skipped: 'yellow' };

function scheduleColumns(now: Date): Column<Schedule>[] {
  const number = (title: string, of: (schedule: Schedule) => number): Column<Schedule> => ({
    title,
    of: (schedule) => String(of(schedule)),
    align: 'right',
    style: (schedule) => (of(schedule) > 0 ? 'yellow' : undefined),
  });
  return [
    { title: 'schedule', of: ({ name }) => name },
    // Without a zone it is UTC, as everywhere.
    { title: 'runs', of: ({ words }) => words.replace(/ UTC$/, ''), least: 14, leave: 1 },
    {
      title: 'last',
      of: ({ last_run }) => last_run?.state ?? '–',
      style: ({ last_run }) => stateStyles[last_run?.state ?? ''],
    },
    { title: 'ago', of: ({ last_run }) => age(last_run?.started_at, now), align: 'right' },
    { title: 'next', of: (schedule) => nextText(schedule, now), align: 'right' },
    number('missed', ({ missed_24h }) => missed_24h),
    number('late', ({ late_24h }) => late_24h),
  ];
}

function nextText({ enabled, paused, next_run }: Schedule, now: Date): string {
  if (!enabled) return 'off';
  if (paused) return 'paused';
  return next_run ? duration((Date.parse(next_run) - now.getTime()) / 1_000) : '–';
}

interface RunsOptions {
  readonly state?: string;
  readonly count: number;
}

export const scheduleRunsCommand = command<RunsOptions>({
  usage: 'runs <schedule>',
  summary: 'its ledger: every fire time and what became of it, newest first',
  options: [
    {
      flags: '--state <state>',
      meaning: 'in this state',
      choices: ['expected', 'started', 'done', 'failed', 'missed', 'skipped'],
    },
    { flags: '--count <n>', meaning: 'how many, 1 to 200', read: wholeNumber(1, 200), default: 20 },
  ],
  act: async (run, [name = ''], { state, count: limit }) => {
    const { runs, pagination } = await get<ScheduleRuns>(run, `${pathOf(name)}/runs`, { state, limit });
    const { terminal, output } = run;
    if (output.quiet) return runs.forEach(({ run_id }) => terminal.line(run_id));
    if (output.json) return runs.forEach((one) => terminal.json(one));
    if (runs.length === 0) return terminal.line(`No runs${state ? ` that are ${state}` : ''} of ${name}.`);
    terminal.table(runColumns, runs);
    if (pagination.next_cursor) terminal.line('There are more; see them with --count.', 'dim');
  },
});

const runColumns: readonly Column<ScheduleRun>[] = [
  { title: 'expected', of: ({ expected_at }) => moment(expected_at) },
  {
    title: 'state',
    of: ({ state, reason }) => (reason ? `${state}, ${reason}` : state),
    style: ({ state }) => stateStyles[state],
  },
  { title: 'marks', of: ({ marks, origin }) => [...marks, ...(origin === 'schedule' ? [] : [origin])].join(', ') },
  {
    title: 'took',
    of: ({ duration_ms }) =>
      duration_ms === null ? '–' : duration_ms < 3_000 ? `${duration_ms} ms` : duration(duration_ms / 1_000),
    align: 'right',
    leave: 3,
  },
  { title: 'counts', of: ({ counts }) => countsText(counts), least: 12, leave: 1 },
  { title: 'letter', of: ({ dead_letter_id }) => dead_letter_id?.slice(0, 13) ?? '', leave: 2 },
];

/** What it did; that it did none of the rest is in `--json`. */
function countsText(counts: ScheduleRun['counts']): string {
  if (counts === null) return '';
  const some = Object.entries(counts).filter(([, count]) => count !== 0);
  if (some.length === 0) return Object.keys(counts).length > 0 ? 'all 0' : '';
  return some.map(([name, count]) => `${name} ${count}`).join(', ');
}
