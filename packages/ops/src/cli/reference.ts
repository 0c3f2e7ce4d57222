import { Command } from 'commander';
import { exitMeanings } from './exit-codes.ts';
import { operationsCommands } from './operations-commands.ts';

/** One command as the reference shows it. */
export interface CommandReference {
  /** With its arguments: `dlq retry|reprocess [id]`. */
  readonly usage: string;
  readonly summary: string;
  readonly options: readonly { readonly flags: string; readonly meaning: string }[];
}

/** The operations commands as `docs/reference/cli.md` shows them, read from the command tree itself. */
export function commandsReference(): {
  readonly commands: readonly CommandReference[];
  readonly exits: readonly { readonly code: number; readonly meaning: string }[];
} {
  const program = new Command();
  operationsCommands(program, { environment: () => ({}), end: () => {} });
  return {
    commands: program.commands.flatMap((group) =>
      group.commands.length === 0
        ? [referenceOf('', group)]
        : group.commands.map((each) => referenceOf(group.name(), each)),
    ),
    exits: Object.entries(exitMeanings).map(([code, meaning]) => ({ code: Number(code), meaning })),
  };
}

function referenceOf(group: string, command: Command): CommandReference {
  const [alias] = command.aliases();
  const given = command.registeredArguments.map((argument) => {
    const name = argument.variadic ? `${argument.name()}...` : argument.name();
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  const name = alias ? `${command.name()}|${alias}` : command.name();
  return {
    usage: [group, name, ...given].filter(Boolean).join(' '),
    summary: command.description(),
    options: command.options.map(({ flags, description, argChoices, defaultValue }) => ({
      flags,
      meaning: [
        description,
        argChoices && `one of ${argChoices.join(', ')}`,
        defaultValue !== undefined && `default ${String(defaultValue)}`,
      ]
        .filter(Boolean)
        .join('; '),
    })),
  };
}
