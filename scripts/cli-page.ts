import { commandsReference } from '../packages/ops/src/cli/index.ts';
import { code, page, table } from './markdown.ts';

const intro = `\`npx fmhl <command> --help\` says the same. These commands use the operations API and nothing else. With \`FMHL_URL\` they send it over HTTP, as the
person of \`FMHL_TOKEN\`, or of the last \`fmhl login\` at that address. Without it they work on the servers of \`DATABASE_URL\` and \`REDIS_URL\`, or on those
of the data directory, beside a running \`npm start\` too; the audit log then says \`cli-local\` and the name of \`--as\`, by default the login name.

An id is a UUID or the first 8 characters of one, or more. A filter is a text such as \`queue:email_send age:>1h\`; put one that begins with \`-\` behind
another term, inside quotes. On a terminal a write says what it will do, and asks. Elsewhere a single write goes on, and many at once need \`--yes\`.
Whatever comes from payloads and errors is printed with its control characters written out.`;

/** The operations commands, read from the command tree. */
export function cliPage(): string {
  const { commands, exits } = commandsReference();
  const byGroup = Map.groupBy(commands, ({ usage }) => usage.split(' ', 1)[0] ?? '');
  const everywhere = new Set(['--json', '-q, --quiet', '--as <name>', '--reason <text>', '-y, --yes']);
  const shared = new Map(commands.flatMap(({ options }) => options.map(({ flags, meaning }) => [flags, meaning])));
  return page('Commands', [
    intro,
    '## Ends',
    table(
      ['exit code', 'meaning'],
      exits.map(({ code: number, meaning }) => [String(number), meaning]),
    ),
    '## Options of all commands',
    'The last two belong to those that change something.',
    table(
      ['option', 'meaning'],
      [...everywhere].map((flags) => [code(flags), shared.get(flags) ?? '']),
    ),
    ...[...byGroup].map(([group, members]) => {
      const rows = members.map(({ usage, summary, options }) => [
        code(usage),
        summary,
        options
          .filter(({ flags }) => !everywhere.has(flags))
          .map(({ flags, meaning }) => `${code(flags)} ${meaning}`)
          .join('<br>'),
      ]);
      return `## ${group}\n\n${table(['command', 'what it does', 'options of its own'], rows)}`;
    }),
  ]);
}
