import type { RedriveItem, RedriveItems, RedriveList, RedriveSummary } from '../contract.ts';
import { command, wholeNumber } from '../command.ts';
import { age } from '../print/ages.ts';
import type { Column } from '../print/table.ts';
import type { Style } from '../print/terminal.ts';
import { get } from '../run.ts';
import { shownOfId } from '../dead-letters/letter-id.ts';
import { redriveId } from './redrive-id.ts';

const count = { flags: '--count <n>', meaning: 'how many, 1 to 200', read: wholeNumber(1, 200), default: 20 } as const;

interface ListOptions {
  readonly state?: string;
  readonly count: number;
}

export const redriveListCommand = command<ListOptions>({
  usage: 'list',
  summary: 'redrives and plans, newest first',
  options: [{ flags: '--state <state>', meaning: 'in this state' }, count],
  act: async (run, _words, { state, count: limit }) => {
    const { redrives } = await get<RedriveList>(run, '/redrives', { state, limit });
    const { terminal, output, now } = run;
    if (output.quiet) return redrives.forEach(({ id }) => terminal.line(id));
    if (output.json) return redrives.forEach((redrive) => terminal.json(redrive));
    if (redrives.length === 0) return terminal.line('No redrives.');
    terminal.table(redriveColumns(now()), redrives);
  },
});

const stateStyles: Readonly<Record<string, Style>> = {
  stopped: 'red',
  paused: 'yellow',
  running: 'green',
  canary: 'green',
};

function redriveColumns(now: Date): Column<RedriveSummary>[] {
  return [
    { title: 'id', of: ({ id }) => id.slice(0, 8) },
    { title: 'state', of: ({ state }) => state, style: ({ state }) => stateStyles[state] },
    { title: 'name', of: ({ name }) => name, least: 16 },
    { title: 'done', of: ({ progress }) => `${progress.succeeded}/${progress.total}`, align: 'right' },
    { title: 'failed', of: ({ progress }) => String(progress.failed), align: 'right' },
    { title: 'by', of: ({ created_by }) => created_by.name, leave: 2 },
    { title: 'age', of: ({ created_at }) => age(created_at, now), align: 'right', leave: 1 },
  ];
}

interface ItemsOptions {
  readonly outcome?: string;
  readonly count: number;
}

export const itemsCommand = command<ItemsOptions>({
  usage: 'items <id>',
  summary: 'what became of each item of a redrive',
  options: [
    {
      flags: '--outcome <outcome>',
      meaning: 'of this outcome',
      choices: ['planned', 'enqueued', 'succeeded', 'failed', 'skipped', 'cancelled'],
    },
    count,
  ],
  act: async (run, [text = ''], { outcome, count: limit }) => {
    const id = await redriveId(run, text);
    const { items, pagination } = await get<RedriveItems>(run, `/redrives/${id}/items`, { outcome, limit });
    const { terminal, output } = run;
    if (output.quiet) return items.forEach(({ letter_id }) => terminal.line(letter_id));
    if (output.json) return items.forEach((item) => terminal.json(item));
    if (items.length === 0) return terminal.line('No items.');
    terminal.table(itemColumns, items);
    if (pagination.next_cursor) terminal.line('There are more; see them with --count.', 'dim');
  },
});

const itemColumns: Column<RedriveItem>[] = [
  { title: 'letter', of: ({ letter_id }) => letter_id.slice(0, shownOfId) },
  { title: 'outcome', of: ({ outcome, is_canary }) => (is_canary ? `${outcome}, canary` : outcome) },
  { title: 'why', of: ({ why, new_fingerprint }) => why ?? new_fingerprint ?? '', least: 10 },
  { title: 'job', of: ({ job_id }) => job_id ?? '–', least: 12, leave: 1 },
];
