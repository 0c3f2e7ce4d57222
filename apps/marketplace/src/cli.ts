import { Command, CommanderError } from 'commander';
import { ConfigError } from './config.ts';
import { endWith } from './commands/end.ts';
import { addCommands } from './commands/index.ts';
import { version } from './version.ts';

const program = new Command('fmhl')
  .description('Find Me a Hot Lead: a lead marketplace and its operations plane.')
  .version(version)
  .showSuggestionAfterError()
  .configureHelp({ helpWidth: 80 })
  .exitOverride();

try {
  await addCommands(program, process.argv[2]);
  await program.parseAsync();
} catch (error) {
  // Wrong use has been explained by then; help and the version are no failure.
  if (!(error instanceof CommanderError)) fail(error);
  else endWith(error.exitCode === 0 ? 0 : 2);
}

function fail(error: unknown): void {
  const lines = error instanceof ConfigError ? error.lines : [error instanceof Error ? error.message : String(error)];
  for (const line of lines) console.error(`fmhl: ${line}`);
  endWith(1);
}
