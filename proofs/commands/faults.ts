import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure } from '../../bench/report.ts';
import { startServers } from '../../bench/servers.ts';
import { none } from '../harness/figures.ts';
import { fmhl, freePort, launch, runToEnd, takePort } from '../harness/product.ts';

interface Fault {
  readonly arguments: readonly string[];
  readonly settings: Readonly<Record<string, string>>;
  /** How each line of the complaint begins, in order. */
  readonly complaint: readonly string[];
}

const nobody = '127.0.0.1:1';
const elsewhere = {
  DATABASE_URL: `postgres://fmhl:hidden-word@${nobody}/fmhl`,
  REDIS_URL: `redis://:hidden-word@${nobody}`,
  SMTP_URL: `smtp://${nobody}`,
  TOKEN_KEY: 'ab'.repeat(32),
};

function faultsOf({ taken, file }: { taken: number; file: string }): Fault[] {
  const up = (settings: Record<string, string>, ...complaint: string[]): Fault => ({
    arguments: ['up'],
    settings,
    complaint,
  });
  const { DATABASE_URL, REDIS_URL } = elsewhere;
  return [
    up({ PORT: String(taken) }, `fmhl: PORT: port ${taken} is in use`),
    up({ PORT: 'abc' }, 'fmhl: PORT: expected a number 0–65535, got "abc"'),
    up({ PORT: '-1', LOG_LEVEL: 'loud' }, 'fmhl: PORT: expected', 'fmhl: LOG_LEVEL: expected one of debug, info'),
    up({ HOST: '192.0.2.1' }, 'fmhl: HOST: 192.0.2.1 is not an address of this machine'),
    up({ DATABASE_URL }, 'fmhl: DATABASE_URL: PostgreSQL cannot be used (connect ECONNREFUSED'),
    up({ DATABASE_URL: 'mysql://localhost/x' }, 'fmhl: DATABASE_URL: expected an address like postgres://'),
    up({ REDIS_URL }, 'fmhl: REDIS_URL: Redis cannot be used (connect ECONNREFUSED'),
    up({ TOKEN_KEY: 'short' }, 'fmhl: TOKEN_KEY: expected at least 32 bytes in hex'),
    up({ METRICS_ENABLED: 'perhaps' }, 'fmhl: METRICS_ENABLED: expected true or false'),
    up({ DATA_DIR: file }, 'fmhl: DATA_DIR: expected a directory this user can write in'),
    up({ FMHL_ADMIN_PASSWORD: 'long enough, but whose' }, 'fmhl: FMHL_ADMIN_EMAIL: expected an e-mail address'),
    { arguments: ['up', '--port', 'abc'], settings: {}, complaint: ['fmhl: --port: expected a number 0–65535'] },
    {
      arguments: ['up', '--prot', '1'],
      settings: {},
      complaint: ["error: unknown option '--prot'", '(Did you mean --port?)'],
    },
    { arguments: ['fly'], settings: {}, complaint: ["error: unknown command 'fly'"] },
    {
      arguments: ['migrate'],
      settings: { DATABASE_URL },
      complaint: ['fmhl: DATABASE_URL: PostgreSQL cannot be used'],
    },
    { arguments: ['run', 'api'], settings: elsewhere, complaint: ['fmhl: DATABASE_URL: PostgreSQL cannot be used'] },
    { arguments: ['run', 'worker'], settings: elsewhere, complaint: ['fmhl: REDIS_URL: Redis cannot be used'] },
    {
      arguments: ['run', 'idler'],
      settings: elsewhere,
      complaint: ["error: command-argument value 'idler' is invalid"],
    },
    {
      arguments: ['run', 'worker'],
      settings: {},
      complaint: ['DATABASE_URL', 'REDIS_URL', 'SMTP_URL', 'TOKEN_KEY'].map((name) => `fmhl: ${name}: required`),
    },
  ];
}

/** A command that is no command ends with 2, one that cannot do its work with 1. */
const codeFor = ({ complaint: [first = ''] }: Fault): number => (first.startsWith('error:') ? 2 : 1);

/** Wrong settings end with their code and one line for each, which names it and shows no password. */
export async function wrongSettings({
  directory,
  say,
}: {
  directory: string;
  say: (line: string) => void;
}): Promise<Figure[]> {
  const { port: taken, release } = await takePort();
  const file = join(directory, 'a-file');
  writeFileSync(file, '');
  const wrong: string[] = [];
  for (const fault of faultsOf({ taken, file })) {
    const base = { PORT: '0', METRICS_PORT: '0', DATA_DIR: join(directory, 'faults') };
    const { code, err } = await runToEnd([...fmhl, ...fault.arguments], { ...base, ...fault.settings });
    if (code !== codeFor(fault) || !complains(err, fault.complaint)) {
      wrong.push(`${fault.arguments.join(' ')} ${JSON.stringify(fault.settings)}: code ${code}, ${err}`);
    }
  }
  await release();
  return [none('wrong settings without one clear line', wrong, say)];
}

function complains(err: string, complaint: readonly string[]): boolean {
  const lines = err.trimEnd().split('\n');
  const isAsExpected = complaint.every((beginning, at) => lines[at]?.startsWith(beginning));
  return isAsExpected && lines.length === complaint.length && !err.includes('hidden-word');
}

/** A taken METRICS_PORT: `up` takes another and says so, a role that others scrape ends. */
export async function takenMetricsPort({
  directory,
  say,
}: {
  directory: string;
  say: (line: string) => void;
}): Promise<Figure[]> {
  const { port: taken, release } = await takePort();
  const settings = { PORT: String(await freePort()), METRICS_PORT: String(taken), DATA_DIR: join(directory, 'faults') };
  const wrong: string[] = [];
  const up = launch([...fmhl, 'up', '--empty'], settings);
  await up.says('fmhl is ready at');
  const [, url = ''] = /Metrics +(\S+)/.exec(up.err) ?? [];
  if (!up.err.includes(`port ${taken} is in use (METRICS_PORT chooses another)`))
    wrong.push(`up does not say so: ${up.err}`);
  if (!/Admin .*password \S+/.test(up.err))
    wrong.push('an earlier start, which failed, made an admin whose password nobody saw');
  if (!(await fetch(url)).ok) wrong.push(`no metrics at ${url}`);
  await up.stop('SIGTERM');
  const servers = await startServers();
  const { databaseUrl: DATABASE_URL, redisUrl: REDIS_URL } = servers;
  const { code, err } = await runToEnd([...fmhl, 'run', 'worker'], {
    ...settings,
    ...elsewhere,
    DATABASE_URL,
    REDIS_URL,
  });
  await servers.stop();
  if (code !== 1 || !complains(err, [`fmhl: METRICS_PORT: port ${taken} is in use`]))
    wrong.push(`run worker: code ${code}, ${err}`);
  await release();
  return [none('taken METRICS_PORT not handled', wrong, say)];
}

/** The help names every command and fits a terminal. */
export async function help({ say }: { say: (line: string) => void }): Promise<Figure[]> {
  const wrong: string[] = [];
  const commands = ['up', 'run', 'migrate', 'user', 'keys', 'login', 'totp'];
  const asked = [...commands, 'migrate down', 'user create-admin', 'user reset-second-factor'].map((command) => [
    ...fmhl,
    ...command.split(' '),
    '--help',
  ]);
  for (const command of [[...fmhl, '--help'], ['npx', 'fmhl', '--help'], ...asked]) {
    const { code, out, err } = await runToEnd(command);
    const wide = out.split('\n').filter((line) => line.length > 80);
    if (code !== 0 || wide.length > 0)
      wrong.push(`${command.slice(-3).join(' ')}: code ${code} ${err} ${wide.join(' ')}`);
    if (command.at(-2) !== 'fmhl') continue;
    const unnamed = commands.filter((name) => !out.includes(`\n  ${name} `));
    if (unnamed.length > 0) wrong.push(`${command.join(' ')} does not name ${unnamed.join(', ')}`);
  }
  return [none('help missing or wider than 80 columns', wrong, say)];
}
