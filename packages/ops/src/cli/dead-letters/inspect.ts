import type { LetterAttempt, LetterDetail } from '../contract.ts';
import { command } from '../command.ts';
import { age, duration, moment } from '../print/ages.ts';
import type { Column } from '../print/table.ts';
import { facts, type Terminal } from '../print/terminal.ts';
import { get, misused, type Run } from '../run.ts';
import { type ByEvent, eventOptions, letterId } from './letter-id.ts';
import { stateStyle } from './list.ts';

interface InspectOptions extends ByEvent {
  readonly payload?: boolean;
  readonly reason?: string;
}

export const inspectCommand = command<InspectOptions>({
  usage: 'inspect [id]',
  summary: 'all that is known of one dead letter; the look is audited',
  options: [
    ...eventOptions,
    { flags: '--payload', meaning: 'personal fields of the payload in clear; audited with the reason' },
    { flags: '--reason <text>', meaning: 'why they have to be seen' },
  ],
  act: async (run, [text], options) => {
    if (options.payload && !options.reason) throw misused('to see the payload in clear, say why: --reason "…"');
    const id = await letterId(run, text, options);
    const letter = await get<LetterDetail>(run, `/queues/dlq/${id}`, {
      payload: options.payload ? 'clear' : 'masked',
      reason: options.reason,
    });
    if (run.output.quiet) return run.terminal.line(letter.id);
    if (run.output.json) return run.terminal.json(letter, 2);
    printLetter(run, letter);
  },
});

function printLetter({ terminal, now }: Run, letter: LetterDetail): void {
  terminal.line(`${letter.queue_name} ${letter.id}`, 'bold');
  terminal.sentence(stateText(letter, now()), { style: stateStyle(letter.state) });
  terminal.line();
  facts(terminal, [
    ['error', errorText(letter)],
    ['cause', `${letter.cause}: ${letter.cause_text}`],
    ['died', `${age(letter.failed_at, now())} ago, at ${moment(letter.failed_at)}`],
    ['job', `${letter.kind} ${letter.job_id ?? ''}`],
    ['attempts', String(letter.attempts)],
    ['retries', String(letter.retries)],
    ['worker', workerText(letter)],
    ['fingerprint', letter.fingerprint],
    ['correlation', letter.correlation_id],
    ['ticket', letter.ticket ?? undefined],
    ['evidence lacks', letter.evidence.lacks ?? undefined],
  ]);
  if (letter.stack_trace) {
    terminal.line();
    terminal.block(letter.stack_trace, 'dim');
  }
  printPayload(terminal, letter);
  printAttempts(terminal, letter, now());
  printNotes(terminal, letter, now());
}

function stateText({ state, assignee, snooze, resolution }: LetterDetail, now: Date): string {
  const parts = [
    state,
    assignee ? `assigned to ${assignee}` : '',
    snooze?.until ? `until ${moment(snooze.until)}` : '',
    resolution ? `${resolution.how} by ${resolution.by ?? 'its run'} ${age(resolution.at, now)} ago` : '',
    resolution?.reason ? `"${resolution.reason}"` : '',
  ];
  return parts.filter(Boolean).join(', ');
}

function errorText({ error_type, error_message }: LetterDetail): string {
  return error_message ? `${error_type}: ${error_message}` : error_type;
}

function workerText({ worker_version, worker_host }: LetterDetail): string | undefined {
  if (!worker_version && !worker_host) return undefined;
  return [worker_version, worker_host && `on ${worker_host}`].filter(Boolean).join(' ');
}

function printPayload(
  terminal: Terminal,
  { payload, payload_text, payload_bytes, payload_masked }: LetterDetail,
): void {
  terminal.line();
  const masked = payload_masked?.length ? `, masked: ${payload_masked.join(', ')}` : '';
  terminal.line(`payload (${payload_bytes} bytes${masked})`, 'dim');
  if (payload === null || payload === undefined || losesDigits(payload_text)) {
    terminal.block(payload_text ?? 'none was kept');
  } else {
    terminal.json(payload, 2);
  }
}

/** JavaScript rounds integers of more digits than these. */
function losesDigits(text: string | null): boolean {
  return text !== null && /\d{16}/.test(text);
}

function printAttempts(terminal: Terminal, { attempts_history }: LetterDetail, now: Date): void {
  if (attempts_history.length === 0) return;
  const columns: Column<LetterAttempt>[] = [
    { title: 'run', of: ({ generation }) => (generation > 0 ? `retry ${generation}` : 'first') },
    { title: 'attempt', of: ({ attempt }) => String(attempt ?? '–'), align: 'right' },
    { title: 'started', of: ({ started_at }) => age(started_at, now), align: 'right' },
    { title: 'took', of: ({ duration_ms }) => (duration_ms === null ? '–' : tookText(duration_ms)), align: 'right' },
    { title: 'outcome', of: ({ outcome }) => outcome },
    { title: 'error', of: ({ error }) => error?.message ?? '', least: 20 },
  ];
  terminal.line();
  terminal.table(columns, attempts_history);
}

function printNotes(terminal: Terminal, { notes }: LetterDetail, now: Date): void {
  if (notes.length === 0) return;
  terminal.line();
  for (const { author, created_at, text } of notes) {
    terminal.sentence(`${author}, ${age(created_at, now)} ago: ${text}`, { indent: 2 });
  }
}

function tookText(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : duration(ms / 1_000);
}
