import { readFile } from 'node:fs/promises';
import type { LetterDetail, RetryAnswer } from '../contract.ts';
import { command } from '../command.ts';
import { consent } from '../consent.ts';
import { readDuration } from '../print/ages.ts';
import { get, misused, type Run, write } from '../run.ts';
import { type ByEvent, eventOptions, letterId } from './letter-id.ts';

interface RetryOptions extends ByEvent {
  readonly patch?: string;
  readonly to?: string;
  readonly dryRun?: boolean;
  readonly reason?: string;
  readonly confirm?: string;
  readonly acceptStale?: boolean;
  readonly delay?: string;
}

export const retryCommand = command<RetryOptions>({
  usage: 'retry [id]',
  alias: 'reprocess',
  summary: 'run one dead letter again: once, whoever else asks; many are a redrive',
  options: [
    ...eventOptions,
    { flags: '--patch <file>', meaning: 'a JSON Patch (RFC 6902) for the payload; the original stays' },
    { flags: '--to <queue>', meaning: 'into another queue that takes the kind' },
    { flags: '--dry-run', meaning: 'only say what would happen' },
    { flags: '--delay <time>', meaning: 'not before 30s, 5m, 2h' },
    { flags: '--confirm <kind>', meaning: 'the kind, said again, where a repeat may do harm' },
    { flags: '--accept-stale', meaning: 'although the time in which a retry is safe has passed' },
  ],
  writes: true,
  act: retry,
});

async function retry(run: Run, [text]: readonly string[], options: RetryOptions): Promise<void> {
  const id = await letterId(run, text, options);
  const body = await bodyOf(run, id, options);
  const path = `/queues/dlq/${id}/retry`;
  if (options.dryRun) return printPlan(run, await write<RetryAnswer>(run, 'POST', path, { ...body, dry_run: true }));
  const changed = [options.patch && `with ${options.patch}`, options.to && `into ${options.to}`].filter(Boolean);
  await consent(run, {
    does: ['retry 1 dead letter', id, ...changed].join(' '),
    needsReason: changed.length > 0,
  });
  const answer = await write<RetryAnswer>(run, 'POST', path, body);
  if (run.output.quiet) return run.terminal.line(answer.job_id);
  if (run.output.json) return run.terminal.json(answer);
  const waits = answer.dispatch === 'pending' ? '; it goes out as soon as Redis can be reached' : '';
  run.terminal.sentence(`${id} runs again as ${answer.job_id}${waits}`, { style: 'green' });
  if (answer.note) run.terminal.sentence(answer.note, { style: 'yellow' });
}

async function bodyOf(run: Run, id: string, options: RetryOptions): Promise<Record<string, unknown>> {
  const { to, reason, confirm, acceptStale, delay, patch } = options;
  return {
    ...(reason && { reason }),
    ...(to && { target_queue: to }),
    ...(confirm && { confirm }),
    ...(acceptStale && { accept_stale: true }),
    ...(delay && { delay_ms: millisecondsOf(delay) }),
    ...(patch && { patch: await readPatch(patch), expected_sha256: await seenSha256(run, id) }),
  };
}

function millisecondsOf(text: string): number {
  const seconds = readDuration(text);
  if (seconds === undefined) throw misused(`--delay takes a time such as 30s, 5m or 2h, not "${text}"`);
  return seconds * 1_000;
}

async function readPatch(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as unknown;
  } catch (error) {
    throw misused(`--patch: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The patch is written for the payload as it is now: a change in between must be noticed. */
async function seenSha256(run: Run, id: string): Promise<string | null> {
  const letter = await get<LetterDetail>(run, `/queues/dlq/${id}`, { payload: 'masked' });
  return letter.payload_sha256;
}

function printPlan({ terminal }: Run, answer: RetryAnswer): void {
  terminal.json(answer, 2);
}
