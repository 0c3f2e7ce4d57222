/** A stranger packs the library, installs it in a folder of its own and follows the README of examples/bare. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { below, type Figure, type RunOptions } from '../bench/report.ts';
import { startServers } from '../bench/servers.ts';
import { isAsShown, type Step, stepsUnder } from './bare-example/readme.ts';
import { mistakes, strangersModule } from './bare-example/strangers-types.ts';

export const about = 'the example works from its README against the packed library';

const root = dirname(import.meta.dirname);
const execute = promisify(execFile);

/** What a reader of the README tries, in this order. */
const sections = ['See it work', 'See a job die, and run it again', 'Health, metrics and errors'];

/** What the README says in general, and what it is in this run. */
type Places = readonly (readonly [written: string, here: string])[];

export async function run({ say }: Pick<RunOptions, 'say'>): Promise<Figure[]> {
  const readme = readFileSync(join(root, 'examples', 'bare', 'README.md'), 'utf8');
  const directory = mkdtempSync(join(tmpdir(), 'fmhl-bare-'));
  const folder = join(directory, 'bare');
  const servers = await startServers();
  try {
    const places: Places = [
      ['~/bare', folder],
      ['postgres://localhost/bare', `'${servers.databaseUrl}'`],
      ['redis://localhost:6379', servers.redisUrl],
      ['3000', String(await freePort())],
    ];
    const [pack, install, start] = stepsUnder('Run it in a folder of its own', readme);
    if (!pack || !install || !start) throw new Error('the README must pack, install and start');
    const installing = performance.now();
    for (const { command } of [pack, install]) await type(placed(command, places), root);
    say(`installed in ${folder}`);
    const installed = (performance.now() - installing) / 1_000;
    return [
      { what: 'packing and installing', value: installed, unit: 's', target: '', ok: true },
      ...(await checkTypes(folder)),
      ...(await useIt({ start: placed(start.command, places), folder, places, readme, say })),
    ];
  } finally {
    await servers.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The compiler of this repository, on nothing but what the stranger has, the declarations of the library included. */
async function checkTypes(folder: string): Promise<Figure[]> {
  writeFileSync(join(folder, 'mistakes.ts'), strangersModule);
  writeFileSync(join(folder, 'tsconfig.all.json'), '{ "extends": "./tsconfig.json", "include": ["*.ts"] }');
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await execute(process.execPath, [compiler, '-p', join(folder, 'tsconfig.all.json')], { cwd: folder }).catch(refuse);
  return [
    exactly(mistakes.length, { what: 'mistakes that the shipped types refuse', value: mistakes.length, unit: '' }),
  ];
}

interface Use {
  readonly start: string;
  readonly folder: string;
  readonly places: Places;
  readonly readme: string;
  readonly say: RunOptions['say'];
}

async function useIt({ start, folder, places, readme, say }: Use): Promise<Figure[]> {
  const log: string[] = [];
  const host = spawn('bash', ['-e', '-c', start.replace(/^node /m, 'exec node ')], { cwd: folder });
  const ended = once(host, 'exit');
  for (const stream of [host.stdout, host.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => log.push(text));
  try {
    await started(host, log);
    const steps = sections.flatMap((section) => stepsUnder(section, readme));
    const outcomes: boolean[] = [];
    for (const step of steps) outcomes.push(await follow(step, places, say));
    const asShown = outcomes.filter(Boolean).length;
    const stopping = performance.now();
    host.kill('SIGTERM');
    const [code] = (await ended) as [number | null];
    return [
      exactly(steps.length, { what: 'commands of the README that answer as it shows', value: asShown, unit: '' }),
      exactly(2, { what: 'correlation ids from an order to its shipping', value: journeys(log), unit: '' }),
      exactly(0, { what: 'exit code after SIGTERM', value: code ?? -1, unit: '' }),
      below(10_000, { what: 'SIGTERM to exit', value: performance.now() - stopping, unit: 'ms' }),
    ];
  } catch (error) {
    say(log.join(''));
    throw error;
  } finally {
    host.kill('SIGKILL');
  }
}

/** The README's own sign of a start. */
async function started(host: ChildProcess, log: readonly string[]): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!log.join('').includes('process_started')) {
    if (host.exitCode !== null) throw new Error(`the example ended with code ${host.exitCode} before it had started`);
    if (performance.now() > deadline) throw new Error('the example did not start within 20 s');
    await wait(50);
  }
}

/** Types one command and compares. What only reads is asked again until it answers as shown, for up to 10 s. */
async function follow({ command, answer }: Step, places: Places, say: RunOptions['say']): Promise<boolean> {
  const deadline = performance.now() + (command.includes(' -d ') ? 0 : 10_000);
  for (;;) {
    const output = await type(placed(command, places), root).catch(String);
    if (answer === undefined || isAsShown(output, answer)) return true;
    if (performance.now() > deadline) {
      say(`${command}\nanswered ${output.trim()}\nand not  ${answer}`);
      return false;
    }
    await wait(100);
  }
}

/** How many correlation ids an order's request and its job have in common. */
function journeys(log: readonly string[]): number {
  const lines = log
    .join('')
    .split('\n')
    .filter((line) => line.startsWith('{'));
  const parsed = lines.map((line) => JSON.parse(line) as { event: string; correlation_id: string });
  const idsOf = (event: string) =>
    new Set(parsed.flatMap((line) => (line.event === event ? [line.correlation_id] : [])));
  const requests = idsOf('http_request');
  return [...idsOf('job_completed')].filter((id) => requests.has(id)).length;
}

async function type(command: string, cwd: string): Promise<string> {
  const env = {
    ...process.env,
    npm_config_prefer_offline: 'true',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
  };
  return (await execute('bash', ['-e', '-c', command], { cwd, env }).catch(refuse)).stdout;
}

function refuse(error: Error & { stdout?: string; stderr?: string }): never {
  throw new Error([error.message, error.stdout, error.stderr].join('\n').trim());
}

function placed(command: string, places: Places): string {
  return places.reduce((text, [written, here]) => text.replaceAll(written, here), command);
}

function exactly(bound: number, figure: Pick<Figure, 'what' | 'value' | 'unit'>): Figure {
  return { ...figure, target: `= ${bound}`, ok: figure.value === bound };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, 'localhost');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (typeof address !== 'object' || address === null) throw new Error('no port is free');
  return address.port;
}
