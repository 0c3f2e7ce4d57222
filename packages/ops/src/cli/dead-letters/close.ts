import { command, type CommandDefinition } from '../command.ts';
import { consent } from '../consent.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { refusalText } from '../refusal-text.ts';
import { misused, Refused, type Run, write } from '../run.ts';
import { type ByEvent, eventOptions, letterId } from './letter-id.ts';

interface CloseOptions extends ByEvent {
  readonly reason?: string;
  readonly ticket?: string;
}

interface Closed {
  readonly already?: boolean;
}

const done = { resolve: 'resolved', discard: 'discarded', restore: 'pending again' } as const;
type Action = keyof typeof done;

export const resolveCommand = closing('resolve', 'close dead letters whose work is done or no longer needed');
export const discardCommand = closing('discard', 'close dead letters knowing that their work will not be done');
export const restoreCommand = closing('restore', 'open closed dead letters again');

function closing(action: Action, summary: string): CommandDefinition {
  return command<CloseOptions>({
    usage: `${action} [id...]`,
    summary,
    options: [
      ...eventOptions,
      ...(action === 'resolve' ? [{ flags: '--ticket <url>', meaning: 'where it is followed up' }] : []),
    ],
    writes: true,
    act: (run, texts, options) => close(run, action, { texts, options }),
  });
}

async function close(
  run: Run,
  action: Action,
  { texts, options }: { texts: readonly string[]; options: CloseOptions },
): Promise<ExitCode> {
  if (texts.length === 0 && !options.id)
    throw misused(`name the dead letters to ${action}, or one by --stream and --id`);
  const named = texts.length === 0 ? [undefined] : texts;
  const ids: string[] = [];
  for (const text of named) ids.push(await letterId(run, text, options));
  const many = ids.length > 1;
  await consent(run, {
    does: many ? `${action} ${ids.length} dead letters` : `${action} 1 dead letter ${ids[0]}`,
    isBulk: many,
    needsReason: true,
  });
  const exits = new Set<ExitCode>();
  for (const id of ids) exits.add(await closeOne(run, action, { id, options }));
  return [...exits].find((exit) => exit !== exitCodes.done) ?? exitCodes.done;
}

/** One of several that cannot be closed does not hold up the others. */
async function closeOne(
  run: Run,
  action: Action,
  { id, options }: { id: string; options: CloseOptions },
): Promise<ExitCode> {
  const { terminal, output, now } = run;
  try {
    const { reason, ticket } = options;
    const answer = await write<Closed>(run, 'POST', `/queues/dlq/${id}/${action}`, {
      reason,
      ...(ticket && { ticket }),
    });
    if (output.json) terminal.json(answer);
    else if (output.quiet) terminal.line(id);
    else terminal.line(`${id} is ${answer.already ? 'already ' : ''}${done[action]}`, 'green');
    return exitCodes.done;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    terminal.note(`${id}: ${refusalText(error.problem, now())}`, 'red');
    return error.exit;
  }
}
