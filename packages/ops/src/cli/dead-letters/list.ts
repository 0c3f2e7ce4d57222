import type { Letter, LetterPage } from '../contract.ts';
import { command, wholeNumber } from '../command.ts';
import { age, moment } from '../print/ages.ts';
import type { Column } from '../print/table.ts';
import type { Style } from '../print/terminal.ts';
import { get, type Run } from '../run.ts';
import { filterText, type Selection, selectionOptions } from './filter-text.ts';
import { shownOfId } from './letter-id.ts';

interface ListOptions extends Selection {
  readonly count: number;
  readonly page: number;
  readonly sort?: string;
}

export const listCommand = command<ListOptions>({
  usage: 'list [filter...]',
  summary: 'dead letters, newest first; the open ones, where the filter says nothing of states',
  options: [
    ...selectionOptions,
    { flags: '--count <n>', meaning: 'how many, 1 to 200', read: wholeNumber(1, 200), default: 20 },
    { flags: '--page <n>', meaning: 'which page', read: wholeNumber(1, 10_000), default: 1 },
    { flags: '--all-states', meaning: 'closed ones too' },
    { flags: '--sort <order>', meaning: 'order', choices: ['-failed_at', 'failed_at', '-attempts'] },
  ],
  act: list,
});

async function list(run: Run, words: readonly string[], options: ListOptions): Promise<void> {
  const { terminal, output, now } = run;
  const filter = filterText(words, options);
  const { count, page, sort } = options;
  const answer = await get<LetterPage>(run, '/queues/dlq', { q: filter || undefined, limit: count, page, sort });
  for (const { name, nearest } of answer.warnings ?? [])
    terminal.note(`there is no queue ${name}${nearest ? `; did you mean ${nearest}?` : ''}`, 'yellow');
  if (output.quiet) return answer.entries.forEach(({ id }) => terminal.line(id));
  if (output.json) return answer.entries.forEach((entry) => terminal.json(entry));
  terminal.line(`filter: ${answer.filter || 'none'}`, 'dim');
  if (answer.search?.bounded)
    terminal.note(`searched closed ones back to ${moment(answer.search.oldest_searched)} only`);
  if (answer.entries.length === 0) return terminal.line(await emptyText(run, answer, { words, options }));
  terminal.table(columns(now(), answer.entries), answer.entries);
  terminal.line(footer(answer), 'dim');
}

export function stateStyle(state: string): Style | undefined {
  const byState: Readonly<Record<string, Style>> = { pending: 'red', retrying: 'yellow', snoozed: 'dim' };
  return byState[state];
}

function columns(now: Date, letters: readonly Letter[]): Column<Letter>[] {
  const showsState = letters.some(({ state }) => state !== 'pending');
  return [
    { title: 'id', of: ({ id }) => id.slice(0, shownOfId) },
    { title: 'queue', of: ({ queue_name }) => queue_name, least: 8, leave: 1 },
    { title: 'error', of: ({ error_message, error_type }) => error_message || error_type, least: 16 },
    { title: 'cause', of: ({ cause }) => cause, leave: 4 },
    { title: 'tries', of: ({ attempts }) => String(attempts), align: 'right', leave: 2 },
    { title: 'retries', of: ({ retries }) => String(retries), align: 'right', leave: 3 },
    { title: 'died', of: ({ failed_at }) => age(failed_at, now), align: 'right' },
    ...(showsState
      ? [{ title: 'state', of: ({ state }: Letter) => state, style: ({ state }: Letter) => stateStyle(state) }]
      : []),
  ];
}

function footer({ entries, pagination }: LetterPage): string {
  const { page, total_pages } = pagination;
  const shown = `${entries.length} of ${totalOf(pagination)}`;
  return total_pages > page ? `${shown}, page ${page} of ${total_pages}; go on with --page ${page + 1}` : shown;
}

export function totalOf({ total, total_is_minimum }: LetterPage['pagination']): string {
  return `${total.toLocaleString('en')}${total_is_minimum ? '+' : ''}`;
}

/** Says what an empty list means: nothing is open, and how much was. */
async function emptyText(
  run: Run,
  { pagination }: LetterPage,
  { words, options }: { words: readonly string[]; options: ListOptions },
): Promise<string> {
  if (pagination.total > 0) return `No entries on page ${options.page}: there are ${totalOf(pagination)}.`;
  const { queue, stream } = options;
  const place = queue ?? stream ?? /^(?:queue|stream):([\w.-]+)$/.exec(words.join(' '))?.[1];
  const where = place ? ` on ${place}` : words.length > 0 ? ' fit this filter' : '';
  const open = filterText(words, options);
  if (!open.startsWith('state:open') || words.some((word) => word.includes('state:')))
    return `No dead letters${where}.`;
  const q = open.replace('state:open', 'state:closed');
  const closed = await get<LetterPage>(run, '/queues/dlq', { q, limit: 1, page: 1 });
  return `No open dead letters${where} (${totalOf(closed.pagination)} closed in the last 30 days).`;
}
