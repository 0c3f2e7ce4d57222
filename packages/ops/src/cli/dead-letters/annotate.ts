import type { Annotations } from '../contract.ts';
import { command, wholeNumber } from '../command.ts';
import { consent } from '../consent.ts';
import { moment, readDuration } from '../print/ages.ts';
import { misused, type Run, write } from '../run.ts';
import { letterId } from './letter-id.ts';

const target = 'a dead letter by its id, or a group by its fingerprint';

export const noteCommand = command({
  usage: 'note <target> <text...>',
  summary: `add a note to ${target}`,
  writes: true,
  act: async (run, [text = '', ...words]) => {
    const path = await pathOf(run, text);
    await consent(run, { does: `add a note to ${text}` });
    const note = await write<{ id: string }>(run, 'POST', `${path}/notes`, { text: words.join(' ') });
    if (run.output.json) return run.terminal.json(note);
    run.terminal.line(run.output.quiet ? note.id : `${text} has one more note`);
  },
});

export const assignCommand = command({
  usage: 'assign <target> <name>',
  summary: `give ${target}, to somebody: a name, me, or none`,
  writes: true,
  act: async (run, [text = '', name = '']) => {
    const path = await pathOf(run, text);
    const assignee = name === 'none' ? null : name;
    await consent(run, { does: assignee === null ? `take ${text} from whoever has it` : `assign ${text} to ${name}` });
    const answer = await write<Annotations>(run, 'PUT', `${path}/assignee`, { assignee });
    say(run, answer, answer.assignee === null ? `${text} is nobody's` : `${text} is ${answer.assignee}'s`);
  },
});

interface SnoozeOptions {
  readonly for?: string;
  readonly until?: string;
  readonly moreThan?: number;
  readonly end?: boolean;
  readonly reason?: string;
}

export const snoozeCommand = command<SnoozeOptions>({
  usage: 'snooze <target>',
  summary: `leave ${target}, in peace for a while; it still counts`,
  options: [
    { flags: '--for <time>', meaning: 'so long: 30m, 4h, 2d; 30 days at most' },
    { flags: '--until <time>', meaning: 'until then, in ISO 8601' },
    { flags: '--more-than <n>', meaning: 'until so many more deaths', read: wholeNumber(1, 1_000_000) },
    { flags: '--end', meaning: 'wake it' },
  ],
  writes: true,
  act: snooze,
});

async function snooze(run: Run, [text = '']: readonly string[], options: SnoozeOptions): Promise<void> {
  const path = `${await pathOf(run, text)}/snooze`;
  if (options.end) {
    await consent(run, { does: `wake ${text}` });
    return say(run, await write<Annotations>(run, 'DELETE', path), `${text} is awake`);
  }
  const until = untilOf(options, run.now());
  if (!until && options.moreThan === undefined) throw misused('say --for, --until or --more-than, or --end');
  const what = [until && `until ${moment(until)}`, options.moreThan && `until ${options.moreThan} more deaths`];
  const does = `snooze ${text} ${what.filter(Boolean).join(' or ')}`;
  await consent(run, { does, needsReason: true });
  const body = { until, more_than: options.moreThan, reason: options.reason };
  say(run, await write<Annotations>(run, 'PUT', path, body), `${text} sleeps ${what.filter(Boolean).join(' or ')}`);
}

function untilOf({ for: span, until }: SnoozeOptions, now: Date): string | undefined {
  if (until !== undefined) {
    const at = Date.parse(until);
    if (Number.isNaN(at)) throw misused(`--until takes a time such as 2026-01-02T14:00Z, not "${until}"`);
    return new Date(at).toISOString();
  }
  if (span === undefined) return undefined;
  const seconds = readDuration(span);
  if (seconds === undefined) throw misused(`--for takes a time such as 30m, 4h or 2d, not "${span}"`);
  return new Date(now.getTime() + seconds * 1_000).toISOString();
}

async function pathOf(run: Run, text: string): Promise<string> {
  if (/^v\d+_[0-9a-f]+$/.test(text)) return `/queues/dlq/groups/${text}`;
  return `/queues/dlq/${await letterId(run, text)}`;
}

function say({ terminal, output }: Run, answer: Annotations, text: string): void {
  if (output.json) return terminal.json(answer);
  terminal.line(output.quiet ? (answer.id ?? answer.fingerprint) : `${text}${answer.already ? ', as before' : ''}`);
}
