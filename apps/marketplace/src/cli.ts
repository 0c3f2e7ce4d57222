import { Command, CommanderError } from 'commander';
import { ConfigError } from './config.ts';
import { demoCommand } from './commands/demo.ts';
import { endWith } from './commands/end.ts';
import { keysCommand } from './commands/keys.ts';
import { loginCommand } from './commands/login.ts';
import { migrateCommand } from './commands/migrate.ts';
import { operationCommands } from './commands/operations.ts';
import { simulateCommand } from './commands/simulate.ts';
import { totpCommand } from './commands/totp.ts';
import { runCommand } from './commands/run.ts';
import { upCommand } from './commands/up.ts';
import { userCommand } from './commands/user.ts';
import { version } from './version.ts';

const program = new Command('fmhl')
  .description('Find Me a Hot Lead: a lead marketplace and its operations plane.')
  .version(version)
  .showSuggestionAfterError()
  .configureHelp({ helpWidth: 80 })
  .exitOverride();

upCommand(program);
runCommand(program);
migrateCommand(program);
userCommand(program);
loginCommand(program);
totpCommand(program);
keysCommand(program);
operationCommands(program);
demoCommand(program);
simulateCommand(program);

try {
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
