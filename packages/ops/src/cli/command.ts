import { type Command, InvalidArgumentError, Option } from 'commander';
import type { OperationsClient } from './client.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { openHttpClient } from './http-client.ts';
import { openTerminal, type Streams, type Terminal } from './print/terminal.ts';
import { refusalText } from './refusal-text.ts';
import { CommandFailed, misused, type OutputOptions, Refused, type Run } from './run.ts';

/** An option as the help shows it, and how its text is read. */
export interface OptionDefinition {
  readonly flags: string;
  readonly meaning: string;
  readonly read?: (text: string) => unknown;
  readonly default?: unknown;
  readonly choices?: readonly string[];
}

export interface CommandDefinition {
  /** Name and arguments: `inspect [id]`. */
  readonly usage: string;
  readonly alias?: string;
  readonly summary: string;
  /** What an argument means, by its name. */
  readonly options?: readonly OptionDefinition[];
  /** Changes something: takes `--yes` and `--reason`. */
  readonly writes?: boolean;
  /** Answers how it ended; done, where it answers nothing. */
  readonly act: (run: Run, args: readonly string[], options: never) => Promise<ExitCode | undefined>;
}

/** Keeps the type of a command's options beside its definition: commander reads them from the flags. */
export function command<Options extends object = object>(
  definition: Omit<CommandDefinition, 'act'> & {
    act: (run: Run, args: readonly string[], options: Options) => Promise<ExitCode | void>;
  },
): CommandDefinition {
  const { act } = definition;
  return { ...definition, act: async (run, args, options) => (await act(run, args, options)) ?? undefined };
}

export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly CommandDefinition[];
}

/** What a host of the commands brings. */
export interface Host {
  readonly environment: () => { url?: string | undefined; token?: string | undefined; noColour?: boolean | undefined };
  readonly openLocal: ((operator: string) => Promise<OperationsClient>) | undefined;
  readonly end: (code: number) => void;
  readonly now: () => Date;
  readonly pollMs: number;
  readonly streams: Streams;
  readonly loginName: () => string;
}

const outputOptions: readonly OptionDefinition[] = [
  { flags: '--json', meaning: "the API's own objects, one a line for lists" },
  { flags: '-q, --quiet', meaning: 'ids only' },
  { flags: '--as <name>', meaning: 'who acts, in the audit log, where the command works on the database directly' },
];

const writeOptions: readonly OptionDefinition[] = [
  { flags: '--reason <text>', meaning: 'why, in 5 to 500 characters; it goes into the audit log' },
  { flags: '-y, --yes', meaning: 'do not ask; many at once need it where nobody can answer' },
];

export function addGroup(program: Command, { name, summary, commands }: CommandGroup, host: Host): void {
  const group = settle(program.command(name).description(summary), host);
  for (const each of commands) addCommand(group, each, host);
}

/** A command that stands for itself, in no group. */
export function addAlone(program: Command, definition: CommandDefinition, host: Host): void {
  settle(addCommand(program, definition, host), host);
}

/** How every command of ours writes and ends, whatever program it is in. */
function settle(group: Command, host: Host): Command {
  group.configureHelp({ helpWidth: 80 }).showSuggestionAfterError();
  group.configureOutput({
    writeOut: (text) => void host.streams.stdout.write(text),
    writeErr: (text) => void host.streams.stderr.write(text),
  });
  group.exitOverride((error) => {
    host.end(error.exitCode === 0 ? exitCodes.done : exitCodes.misused);
    throw error;
  });
  return group;
}

function addCommand(group: Command, definition: CommandDefinition, host: Host): Command {
  const { usage, alias, summary, options = [], writes = false, act } = definition;
  const added = group.command(usage).description(summary);
  if (alias) added.alias(alias);
  for (const option of [...options, ...(writes ? writeOptions : []), ...outputOptions]) {
    added.addOption(optionOf(option));
  }
  added.action(async () => host.end(await perform(host, added, act)));
  return added;
}

function optionOf({ flags, meaning, read, default: value, choices }: OptionDefinition): Option {
  const option = new Option(flags, meaning);
  if (choices) option.choices([...choices]);
  if (read) option.argParser(read);
  if (value !== undefined) option.default(value);
  return option;
}

async function perform(host: Host, command: Command, act: CommandDefinition['act']): Promise<ExitCode> {
  const at = { program: programOf(command), now: host.now() };
  let environment: ReturnType<Host['environment']>;
  try {
    environment = host.environment();
  } catch (error) {
    return explain(error, { ...at, terminal: openTerminal(host.streams) });
  }
  const terminal = openTerminal(host.streams, environment);
  try {
    return await actWith(host, command, { environment, terminal, act });
  } catch (error) {
    return explain(error, { ...at, terminal });
  }
}

interface Acting {
  readonly environment: ReturnType<Host['environment']>;
  readonly terminal: Terminal;
  readonly act: CommandDefinition['act'];
}

async function actWith(host: Host, command: Command, { environment, terminal, act }: Acting): Promise<ExitCode> {
  const options = command.opts<OutputOptions & { as?: string }>();
  const client = await openClient(host, { ...environment, as: options.as });
  try {
    const { now, pollMs } = host;
    // Commander hands over one array for `[filter...]`.
    const args = command.processedArgs.flat().filter((each): each is string => typeof each === 'string');
    return (await act({ client, terminal, output: options, now, pollMs }, args, options as never)) ?? exitCodes.done;
  } finally {
    await client.close();
  }
}

async function openClient(
  { openLocal, loginName }: Host,
  { url, token, as }: { url?: string | undefined; token?: string | undefined; as?: string | undefined },
): Promise<OperationsClient> {
  if (url) {
    if (as !== undefined) throw misused('--as is for work on the database directly: over HTTP the token says who acts');
    return openHttpClient({ url, token });
  }
  if (!openLocal) throw misused('say which application to talk to');
  return openLocal(as ?? loginName());
}

function explain(
  error: unknown,
  { terminal, program, now }: { terminal: Terminal; program: string; now: Date },
): ExitCode {
  // The reader of the pipe has seen enough: `fmhl dlq list | head`.
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') return exitCodes.done;
  terminal.status('');
  if (error instanceof Refused) {
    terminal.note(`${program}: ${refusalText(error.problem, now)}`, 'red');
    return error.exit;
  }
  const lines = error instanceof Error ? error.message.split('\n') : [String(error)];
  terminal.note(lines.map((line) => `${program}: ${line}`).join('\n'), 'red');
  return error instanceof CommandFailed ? error.exit : exitCodes.failed;
}

function programOf(command: Command): string {
  return command.parent ? programOf(command.parent) : command.name();
}

/** Reads a whole number from `least`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,9}$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}
