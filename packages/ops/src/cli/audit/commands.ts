import {
  type AuditList,
  type AuditRow,
  type AuditVerdict,
  decisiveAnchors,
  openAnchorStore,
  readAnchors,
} from '../../audit/index.ts';
import { command, type CommandGroup, wholeNumber } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { age } from '../print/ages.ts';
import type { Column } from '../print/table.ts';
import type { Terminal } from '../print/terminal.ts';
import { get, misused } from '../run.ts';

interface ListOptions {
  readonly actor?: string;
  readonly action?: string;
  readonly target?: string;
  readonly from?: string;
  readonly to?: string;
  readonly count: number;
}

const auditListCommand = command<ListOptions>({
  usage: 'list',
  summary: 'who did what, newest first',
  options: [
    { flags: '--actor <id>', meaning: 'by this actor' },
    { flags: '--action <action>', meaning: 'of this kind, such as dlq.retried' },
    { flags: '--target <type[:id]>', meaning: 'to targets of this type, or to one of them' },
    { flags: '--from <time>', meaning: 'at this time or later, such as 2026-01-31T12:00:00Z' },
    { flags: '--to <time>', meaning: 'before this time' },
    { flags: '--count <n>', meaning: 'how many, 1 to 200', read: wholeNumber(1, 200), default: 20 },
  ],
  act: async (run, _words, { actor, action, target, from, to, count: limit }) => {
    const { items, pagination } = await get<AuditList>(run, '/audit', { actor, action, target, from, to, limit });
    const { terminal, output } = run;
    if (output.quiet) return items.forEach(({ seq }) => terminal.line(String(seq)));
    if (output.json) return items.forEach((item) => terminal.json(item));
    if (items.length === 0) return terminal.line('Nothing was done.');
    terminal.table(columns(run.now()), items);
    if (pagination.next_cursor)
      terminal.line('There are more; see them with --count, or earlier ones with --to.', 'dim');
  },
});

const columns = (now: Date): readonly Column<AuditRow>[] => [
  { title: 'age', of: ({ at }) => age(at, now), align: 'right' },
  { title: 'by', of: ({ actor_name }) => actor_name, least: 10 },
  { title: 'via', of: ({ via }) => via, leave: 3 },
  { title: 'action', of: ({ action }) => action },
  { title: 'target', of: ({ target_type, target_id }) => `${target_type} ${target_id}`, least: 12 },
  { title: 'reason', of: ({ reason }) => reason ?? '', least: 10, leave: 2 },
];

const auditVerifyCommand = command<{ anchor?: string }>({
  usage: 'verify',
  summary:
    'read the whole audit log and name the first row that was changed, moved or removed; ends with 1 where there is one',
  options: [
    { flags: '--anchor <file>', meaning: 'heads that were kept elsewhere, beside those the application finds itself' },
  ],
  act: async (run, _words, { anchor: file }) => {
    const anchor = file === undefined ? undefined : await linesOf(file);
    const verdict = await get<AuditVerdict>(run, '/audit/verify', { anchor });
    const { terminal, output } = run;
    if (output.json) terminal.json(verdict);
    else if (output.quiet) terminal.line(verdict.fault?.kind ?? 'ok');
    else printVerdict(terminal, verdict);
    return verdict.ok ? exitCodes.done : exitCodes.failed;
  },
});

/** The request has room for no more. */
const mostAnchors = 30;

async function linesOf(file: string): Promise<string> {
  const anchors = decisiveAnchors(readAnchors(await openAnchorStore(file).read()), mostAnchors);
  if (anchors.length === 0) throw misused(`${file} holds no anchor`);
  return anchors.map((anchor) => JSON.stringify(anchor)).join('\n');
}

function printVerdict(
  terminal: Terminal,
  { ok, fault, checked, sealed, head, pending, anchor, adoptions, duration_ms }: AuditVerdict,
) {
  if (fault) {
    const place = [fault.n !== null && `number ${fault.n}`, fault.seq !== null && `row ${fault.seq}`].filter(Boolean);
    terminal.line([fault.kind, place.join(', '), fault.what].filter(Boolean).join(': '), 'red');
  }
  const rate = duration_ms > 1_000 ? `, ${Math.round((checked / duration_ms) * 1_000)} rows/s` : '';
  terminal.line(`${checked} of ${head?.n ?? 0} rows are as they were written${rate}`, ok ? 'green' : undefined);
  if (pending.count > 0) terminal.line(`${pending.count} wait for their link, the oldest since ${pending.oldest_at}`);
  for (const { n, at } of adoptions)
    terminal.note(`up to number ${n} of ${at} seals are of a key that was given up: only anchors tell`, 'yellow');
  if (!sealed) terminal.note('without the key of the chain, seals were not looked at', 'yellow');
  if (anchor) terminal.line(`compared with ${anchor.count} anchors, the newest of ${anchor.at} at number ${anchor.n}`);
  else terminal.note('no anchor to compare with: a cut tail would not be seen', 'yellow');
}

export const auditCommands: CommandGroup = {
  name: 'audit',
  summary: 'the audit log: who did what, and whether it is still as it was written',
  commands: [auditListCommand, auditVerifyCommand],
};
