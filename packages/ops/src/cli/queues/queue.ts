import type { Queue, QueueDetail, QueueJob, QueueJobs, QueuePage } from '../contract.ts';
import { command, wholeNumber } from '../command.ts';
import { pauseCommands } from '../pausing.ts';
import { age, duration } from '../print/ages.ts';
import type { Column } from '../print/table.ts';
import { facts, type Terminal } from '../print/terminal.ts';
import { get } from '../run.ts';
import { printExplanation } from './explanation.ts';

export const pathOf = (queue: string): string => `/queues/${encodeURIComponent(queue)}`;

export const queueListCommand = command({
  usage: 'list',
  summary: 'every queue: what waits, what runs, what died',
  act: async (run) => {
    const { queues, counted_from } = await get<QueuePage>(run, '/queues');
    const { terminal, output } = run;
    if (output.quiet) return queues.forEach(({ name }) => terminal.line(name));
    if (output.json) return queues.forEach((queue) => terminal.json(queue));
    if (counted_from === 'postgres') terminal.note('Redis cannot be asked: counted from Postgres', 'yellow');
    terminal.table(queues.some(({ paused }) => paused) ? [...columns, pausedColumn] : columns, queues);
  },
});

const number = (title: string, of: (queue: Queue) => number, leave?: number): Column<Queue> => ({
  title,
  of: (queue) => String(of(queue)),
  align: 'right',
  ...(leave !== undefined && { leave }),
});

const columns: readonly Column<Queue>[] = [
  { title: 'queue', of: ({ name }) => name, least: 10 },
  number('waiting', ({ depth }) => depth),
  number('active', ({ active }) => active),
  number('delayed', ({ delayed }) => delayed, 3),
  { title: 'oldest', of: ({ oldest_job_age_s }) => duration(oldest_job_age_s), align: 'right', leave: 2 },
  number('workers', ({ workers }) => workers, 4),
  number('died 1h', ({ failed_last_hour }) => failed_last_hour),
  { ...number('dead', ({ dlq_size }) => dlq_size), style: ({ dlq_size }) => (dlq_size > 0 ? 'red' : undefined) },
];

const pausedColumn: Column<Queue> = {
  title: '',
  of: ({ paused }) => (paused ? 'paused' : ''),
  style: () => 'yellow',
};

export const queueShowCommand = command({
  usage: 'show <queue>',
  summary: 'one queue: its workers, its waits, its throughput',
  act: async (run, [name = '']) => {
    const queue = await get<QueueDetail>(run, pathOf(name));
    if (run.output.json || run.output.quiet) return run.terminal.json(queue, 2);
    printQueue(run.terminal, queue, run.now());
  },
});

function printQueue(terminal: Terminal, queue: QueueDetail, now: Date): void {
  terminal.line(queue.name, 'bold');
  facts(terminal, [
    ['aliases', queue.aliases.join(', ') || undefined],
    ['paused', pausedText(queue, now)],
    ['waiting', `${queue.depth}, the oldest for ${duration(queue.oldest_job_age_s)}`],
    ['active', String(queue.active)],
    ['delayed', String(queue.delayed)],
    ['not dispatched', queue.not_dispatched ? String(queue.not_dispatched) : undefined],
    ['died in the last hour', String(queue.failed_last_hour)],
    ['open dead letters', String(queue.dlq_size)],
    ['in and out', `${queue.in_per_minute} and ${queue.out_per_minute ?? '–'} a minute`],
    ['wait', quantilesText(queue.wait_ms)],
    ['run', quantilesText(queue.run_ms)],
    ['stalled', queue.stalled ? String(queue.stalled) : undefined],
  ]);
  printWorkers(terminal, queue, now);
  for (const { text } of queue.lint) terminal.line(text, 'yellow');
}

function printWorkers(terminal: Terminal, { processes }: QueueDetail, now: Date): void {
  terminal.line();
  if (processes.length === 0) return terminal.line('No worker was seen in the last 30 s.', 'yellow');
  terminal.table<QueueDetail['processes'][number]>(
    [
      { title: 'worker', of: ({ host, pid }) => `${host} ${pid}`, least: 12 },
      { title: 'version', of: ({ version }) => version },
      { title: 'active', of: ({ active }) => String(active ?? '–'), align: 'right' },
      { title: 'seen', of: ({ last_seen_at }) => age(last_seen_at, now), align: 'right' },
    ],
    processes,
  );
}

function quantilesText(quantiles: QueueDetail['wait_ms']): string | undefined {
  if (!quantiles) return undefined;
  const { p50, p95, p99 } = quantiles;
  return `${Math.round(p50)} / ${Math.round(p95)} / ${Math.round(p99)} ms (p50, p95, p99)`;
}

export function pausedText({ paused }: Queue, now: Date): string | undefined {
  if (!paused) return undefined;
  const { by, at, reason, until } = paused;
  return [
    `by ${by} ${age(at, now)} ago`,
    until ? `for ${duration((Date.parse(until) - now.getTime()) / 1_000)} more` : '',
    reason ? `"${reason}"` : '',
  ]
    .filter(Boolean)
    .join(', ');
}

export const [queuePauseCommand, queueResumeCommand] = pauseCommands({
  what: 'queue',
  means: 'begin no more jobs of it; those that run end',
  pathOf,
});

export const queueExplainCommand = command({
  usage: 'explain <queue>',
  summary: 'why its jobs wait',
  act: async (run, [name = '']) => printExplanation(run, `${pathOf(name)}/explain`),
});

interface JobsOptions {
  readonly state?: string;
  readonly kind?: string;
  readonly count: number;
}

export const queueJobsCommand = command<JobsOptions>({
  usage: 'jobs <queue>',
  summary: 'its jobs, newest first',
  options: [
    { flags: '--state <state>', meaning: 'in this state', choices: ['waiting', 'active', 'delayed', 'done', 'dead'] },
    { flags: '--kind <kind>', meaning: 'of this kind' },
    { flags: '--count <n>', meaning: 'how many, 1 to 200', read: wholeNumber(1, 200), default: 20 },
  ],
  act: async (run, [name = ''], { state, kind, count }) => {
    const { jobs } = await get<QueueJobs>(run, `${pathOf(name)}/jobs`, { state, kind, limit: count });
    const { terminal, output, now } = run;
    if (output.quiet) return jobs.forEach(({ job_id }) => terminal.line(job_id));
    if (output.json) return jobs.forEach((job) => terminal.json(job));
    if (jobs.length === 0) return terminal.line(`No jobs${state ? ` that are ${state}` : ''} on ${name}.`);
    terminal.table(jobColumns(now()), jobs);
  },
});

function jobColumns(now: Date): Column<QueueJob>[] {
  return [
    { title: 'job', of: ({ job_id }) => job_id, least: 20 },
    { title: 'kind', of: ({ kind }) => kind, leave: 1 },
    { title: 'state', of: ({ state }) => state },
    { title: 'attempts', of: ({ attempts }) => String(attempts), align: 'right', leave: 2 },
    { title: 'age', of: ({ enqueued_at }) => age(enqueued_at, now), align: 'right' },
  ];
}
