import { CommandFailed, get, misused, type Run } from '../run.ts';
import { exitCodes } from '../exit-codes.ts';
import type { LetterPage } from '../contract.ts';

export interface ByEvent {
  readonly stream?: string;
  readonly id?: string;
}

export const eventOptions = [
  { flags: '--stream <name>', meaning: 'stream of a dead event, with --id in place of the argument' },
  { flags: '--id <entry>', meaning: 'its entry (42-0) or its event id' },
] as const;

/** Characters of a letter's id that a list shows. The first four are the hour of the death, so that eight may name several of a bad hour. */
export const shownOfId = 13;

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const start = /^[0-9a-f]{8}[0-9a-f-]{0,27}$/i;

/** The UUID of a letter that is named by itself, by a unique start of it, or as an event of a stream. */
export async function letterId(run: Run, text: string | undefined, { stream, id }: ByEvent = {}): Promise<string> {
  if (stream !== undefined || id !== undefined) {
    if (stream === undefined || id === undefined || text !== undefined)
      throw misused('name a dead event by --stream and --id together, and by nothing else');
    const field = /^\d+-\d+$/.test(id) ? 'job' : 'event';
    return theOne(await find(run, `stream:${stream} ${field}:${id}`), `${id} on ${stream}`);
  }
  if (text === undefined) throw misused('name a dead letter by its id, or an event by --stream and --id');
  if (uuid.test(text)) return text.toLowerCase();
  if (!start.test(text)) throw misused(`"${text}" is no id: it takes a UUID or the first 8 characters of one, or more`);
  return theOne(await find(run, `id:${text.toLowerCase()}`), text);
}

function find(run: Run, q: string): Promise<LetterPage> {
  return get(run, '/queues/dlq', { q, limit: 10 });
}

function theOne({ entries }: LetterPage, named: string): string {
  const [first, second] = entries;
  if (!first) throw new CommandFailed(exitCodes.notFound, `there is no dead letter ${named}`);
  if (!second) return first.id;
  const candidates = entries.map(({ id, queue_name, error_message }) => `  ${id}  ${queue_name}  ${error_message}`);
  throw misused([`${named} could be any of these:`, ...candidates].join('\n'));
}
