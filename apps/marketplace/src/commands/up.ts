import type { Command } from 'commander';
import { type Flags, readProcessConfig } from '../config.ts';
import { up } from '../up.ts';

export function upCommand(program: Command): void {
  program
    .command('up')
    .description('run everything in one process, on embedded servers where none are given')
    .option('--port <port>', 'port of the API and the console (PORT, default 3000)')
    .option('--host <host>', 'address to listen on (HOST, default 127.0.0.1)')
    .option('--data-dir <dir>', 'where the embedded servers keep their data (DATA_DIR, default .fmhl)')
    .option('--empty', 'start without the demo world')
    .option('--redis-url <url>', 'a Redis to use in place of the embedded one (REDIS_URL)')
    .option('--database-url <url>', 'a PostgreSQL to use in place of the embedded one (DATABASE_URL)')
    .action(async (flags: Flags) => {
      process.exitCode = await up(readProcessConfig(flags));
      // Nothing should be left; a handle that forgot to close must not turn a clean stop into a hang.
      setTimeout(() => process.exit(), 1_000).unref();
    });
}
