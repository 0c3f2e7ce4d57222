import type { Group, GroupPage } from '../contract.ts';
import { command, wholeNumber } from '../command.ts';
import { age } from '../print/ages.ts';
import type { Column } from '../print/table.ts';
import type { Style } from '../print/terminal.ts';
import { get, type Run } from '../run.ts';
import { filterText, type Selection, selectionOptions } from './filter-text.ts';

interface GroupsOptions extends Selection {
  readonly sort?: string;
  readonly count: number;
}

export const groupsCommand = command<GroupsOptions>({
  usage: 'groups [filter...]',
  summary: 'dead letters by kind of failure; the open ones, where the filter says nothing of states',
  options: [
    ...selectionOptions,
    { flags: '--all-states', meaning: 'closed ones too' },
    { flags: '--count <n>', meaning: 'how many, 1 to 200', read: wholeNumber(1, 200), default: 20 },
    { flags: '--sort <order>', meaning: 'order', choices: ['-last_seen', '-count', '-growth'] },
  ],
  act: groups,
});

async function groups(run: Run, words: readonly string[], options: GroupsOptions): Promise<void> {
  const { terminal, output, now } = run;
  const filter = filterText(words, options);
  const query = { q: filter || undefined, sort: options.sort, limit: options.count };
  const answer = await get<GroupPage>(run, '/queues/dlq/groups', query);
  if (output.quiet) return answer.groups.forEach(({ fingerprint }) => terminal.line(fingerprint));
  if (output.json) return answer.groups.forEach((group) => terminal.json(group));
  terminal.line(`filter: ${answer.filter || 'none'}`, 'dim');
  if (answer.groups.length === 0) return terminal.line('No groups.');
  terminal.table(columns(now()), answer.groups);
  if (answer.pagination.next_cursor) terminal.line(`There are more; see them with --count.`, 'dim');
}

const styles: Readonly<Partial<Record<Group['state'], Style>>> = { regressed: 'red', snoozed: 'dim', quiet: 'dim' };

function columns(now: Date): Column<Group>[] {
  return [
    { title: 'group', of: ({ fingerprint }) => fingerprint },
    { title: 'count', of: ({ count }) => String(count), align: 'right' },
    { title: 'failure', of: ({ title }) => title, least: 20 },
    { title: 'queue', of: ({ queues }) => queues.join(' '), least: 8, leave: 3 },
    { title: 'died', of: ({ last_seen }) => age(last_seen, now), align: 'right', leave: 2 },
    { title: '24 h', of: ({ hourly }) => sparkline(hourly), leave: 4 },
    {
      title: 'state',
      of: ({ state, growing }) => (growing ? `${state}, growing` : state),
      style: ({ state, growing }) => (growing ? 'red' : styles[state]),
      leave: 1,
    },
  ];
}

const bars = '▁▂▃▄▅▆▇█';

/** One bar an hour; a space for an hour without deaths. */
export function sparkline(counts: readonly number[]): string {
  const most = Math.max(1, ...counts);
  return counts.map((count) => (count === 0 ? ' ' : (bars[Math.ceil((count / most) * 8) - 1] ?? ''))).join('');
}
