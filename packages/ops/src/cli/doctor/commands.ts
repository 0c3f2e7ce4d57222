import { command, type CommandDefinition, wholeNumber } from '../command.ts';
import type { DoctorPart, DoctorReport, ProbeResult } from '../contract.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Column } from '../print/table.ts';
import { facts, type Style, type Terminal } from '../print/terminal.ts';
import { get, type Run } from '../run.ts';

interface LookOptions {
  readonly full?: boolean;
  readonly within: number;
}

const lookOptions = [
  {
    flags: '--full',
    meaning: 'look at everything, and not only at what changed since the last look that found all well',
  },
  {
    flags: '--within <seconds>',
    meaning: 'how long all probes may take together; over HTTP no longer than its client waits, 30',
    read: wholeNumber(1, 600),
    default: 20,
  },
];

const ask = (run: Run, { full, within }: LookOptions, more: Readonly<Record<string, string | undefined>>) =>
  get<DoctorReport>(run, '/doctor', { full: String(full === true), within_s: within, ...more });

const invariantsCommand = command<LookOptions>({
  usage: 'invariants [names...]',
  summary: 'what must always be true: OK, or the rows that break it; ends with 1 where one is broken or not checked',
  options: lookOptions,
  act: async (run, names, options) => {
    const only = names.length > 0 ? names.join(',') : undefined;
    const report = await ask(run, options, { only, parts: 'false' });
    const { terminal, output } = run;
    const open = report.probes.filter(({ state }) => state !== 'ok');
    if (output.json) terminal.json(report, 2);
    else if (output.quiet) open.forEach(({ name }) => terminal.line(name));
    else {
      terminal.table(columns, report.probes);
      terminal.line();
      printOpen(terminal, open);
      printVerdict(terminal, report);
    }
    return report.ok ? exitCodes.done : exitCodes.failed;
  },
});

const doctorCommand = command<LookOptions>({
  usage: 'doctor',
  summary:
    'is the system sound: its parts and its invariants on one screen; ends with 1 where something is not, or cannot be told',
  options: lookOptions,
  act: async (run, _words, options) => {
    const report = await ask(run, options, {});
    const { terminal, output } = run;
    if (output.json) terminal.json(report, 2);
    else if (output.quiet) faultsOf(report).forEach((name) => terminal.line(name));
    else printScreen(terminal, report);
    return report.ok ? exitCodes.done : exitCodes.failed;
  },
});

const faultsOf = ({ parts, probes }: DoctorReport): string[] => [
  ...parts.filter(({ state }) => state === 'bad' || state === 'unknown').map(({ name }) => name),
  ...probes.filter(({ state }) => state !== 'ok').map(({ name }) => name),
];

function printScreen(terminal: Terminal, report: DoctorReport): void {
  const { parts, probes } = report;
  const width = Math.max(...parts.map(({ name }) => name.length));
  for (const { name, state, says } of parts) {
    hang(terminal, `${marks[state]} ${name.padEnd(width)}  `, says, styles[state]);
  }
  terminal.line();
  const open = probes.filter(({ state }) => state !== 'ok');
  printOpen(terminal, open);
  printNext(terminal, parts);
  printVerdict(terminal, report);
}

const marks: Readonly<Record<DoctorPart['state'], string>> = { ok: '·', attention: '!', bad: '×', unknown: '?' };
const styles: Readonly<Record<DoctorPart['state'] | ProbeResult['state'], Style | undefined>> = {
  ok: undefined,
  attention: 'yellow',
  bad: 'red',
  unknown: 'red',
  breached: 'red',
  not_checked: 'yellow',
};

const columns: readonly Column<ProbeResult>[] = [
  { title: 'name', of: ({ name }) => name },
  { title: 'is', of: ({ state }) => state.replace('_', ' '), style: ({ state }) => styles[state] },
  { title: 'rows', of: (probe) => (probe.state === 'not_checked' ? '?' : countOf(probe)), align: 'right' },
  { title: 'ms', of: ({ ms }) => String(ms), align: 'right', leave: 1 },
  { title: 'what is always true', of: ({ title }) => title, least: 20 },
];

const countOf = ({ count, count_is_minimum }: ProbeResult): string => `${count_is_minimum ? 'over ' : ''}${count}`;

const shownRows = 5;

/** What is broken, with its first rows, and what to do about it. */
function printOpen(terminal: Terminal, open: readonly ProbeResult[]): void {
  for (const probe of open) {
    const { name, title, state, reason, rows, next } = probe;
    const isBroken = state === 'breached';
    const says = isBroken ? `is broken by ${countOf(probe)}: ${title}` : `was not checked: ${reason ?? ''}`;
    hang(terminal, `${name} `, says, styles[state]);
    for (const row of rows.slice(0, shownRows)) hang(terminal, '    ', textOf(row));
    if (rows.length > shownRows) terminal.line('    … and more, with --json', 'dim');
    if (isBroken && next) hang(terminal, '    next: ', next);
  }
}

/** Its later lines stand below the text. */
function hang(terminal: Terminal, head: string, text: string, style?: Style): void {
  terminal.sentence(`${head}${text}`, { indent: head.length, ...(style && { style }) });
}

function textOf(row: Readonly<Record<string, unknown>>): string {
  const told = Object.entries(row).filter(([, value]) => value !== null);
  return told.map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join(' ');
}

function printNext(terminal: Terminal, parts: readonly DoctorPart[]): void {
  facts(
    terminal,
    parts.filter(({ next }) => next !== null).map(({ name, next }) => [`${name}:`, next ?? undefined] as const),
  );
}

function printVerdict(terminal: Terminal, report: DoctorReport): void {
  const { ok, probes, full } = report;
  const count = (state: ProbeResult['state']) => probes.filter((probe) => probe.state === state).length;
  const since = probes.flatMap((probe) => probe.since ?? []).sort()[0];
  const scope =
    full || !since
      ? 'of everything'
      : `of what changed since ${since.slice(0, 16).replace('T', ' ')}Z; all with --full`;
  const broken = count('breached');
  const unchecked = count('not_checked');
  const told = [
    `${count('ok')} of ${probes.length} invariants hold`,
    ...(broken > 0 ? [`${broken} broken`] : []),
    ...(unchecked > 0 ? [`${unchecked} not checked`] : []),
  ];
  terminal.sentence(`${ok ? 'OK' : 'NOT SOUND'}: ${told.join(', ')}, ${scope}`, { style: ok ? 'green' : 'red' });
}

/** Commands that stand for themselves. */
export const doctorCommands: readonly CommandDefinition[] = [doctorCommand, invariantsCommand];
