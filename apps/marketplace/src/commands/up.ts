import type { Command } from 'commander';
import { type Flags, readProcessConfig } from '../config.ts';
import { endWith } from './end.ts';

export function upCommand(program: Command): void {
  program
    .command('up')
    .description('run everything in one process, on embedded servers where none are given')
    .option('--port <port>', 'port of the API and the console (PORT, default 3000)')
    .option('--host <host>', 'address to listen on (HOST, default 127.0.0.1)')
    .option('--data-dir <dir>', 'where the embedded servers keep their data (DATA_DIR, default .fmhl)')
    .option('--empty', 'start without the demo world')
    .option('--profile <size>', 'world of the first start: demo (default), or S with a past, as fmhl seed')
    .option('--traffic', 'let simulated people use the demo world')
    .option('--redis-url <url>', 'a Redis to use in place of the embedded one (REDIS_URL)')
    .option('--database-url <url>', 'a PostgreSQL to use in place of the embedded one (DATABASE_URL)')
    .addHelpText(
      'after',
      '\nMore by environment: METRICS_PORT, SMTP_URL, PUBLIC_URL, LOG_LEVEL and others;\nall of it is in docs/reference/configuration.md.',
    )
    .action(async (flags: Flags) => {
      const config = readProcessConfig(flags);
      // The whole product, which a wrong setting and the help do not need.
      const { up } = await import('../up.ts');
      endWith(await up(config));
    });
}
