import { join } from 'node:path';
import { isRunning } from '../../apps/marketplace/src/embedded/server-process.ts';
import { below, type Figure, medianOf } from '../../bench/report.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import { type ApiClient, openApiClient } from '../harness/api-client.ts';
import { openAuthenticator } from '../harness/authenticator.ts';
import { none, reported } from '../harness/figures.ts';
import { descendantsOf, freePort, launch, type Running } from '../harness/product.ts';

interface Ground {
  readonly directory: string;
  readonly rounds: number;
  readonly say: (line: string) => void;
}

/** Starts and ends of `npm start`, on one data directory. */
export async function starts({ directory, rounds, say }: Ground): Promise<Figure[]> {
  const port = await freePort();
  const settings = { PORT: String(port), METRICS_PORT: String(await freePort()), DATA_DIR: join(directory, 'data') };
  const url = `http://127.0.0.1:${port}`;
  const start = () => launch(['npm', 'start'], settings);
  const faults: string[] = [];

  const first = start();
  const coldMs = await first.says('fmhl is ready at');
  const password = /Admin .*password (\S+)/.exec(first.err)?.[1] ?? '';
  const app = openAuthenticator();
  const signIn = () => openApiClient(url).signIn('admin@fmhl.example.com', password, app);
  await (await signIn()).post('/admin/niches', { slug: 'kept', name: 'Kept over restarts' });
  const ends = [await endCleanly(first, 'SIGTERM to npm', faults)];

  const warm: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const running = start();
    warm.push(await running.says('fmhl is ready at'));
    const isEven = round % 2 === 0;
    ends.push(await endCleanly(running, isEven ? 'SIGINT to the group' : 'SIGTERM to npm', faults));
  }

  const killed = [await startAfter('kill -9 of all', killEverything), await startAfter('kill -9 of npm', killNpm)];
  const survivor = start();
  await survivor.says('fmhl is ready at');
  if (!(await hasNiche(await signIn()))) faults.push('the niche made at the first start is gone');
  ends.push(await endCleanly(survivor, 'SIGTERM to npm', faults));
  return [
    reported('first start to ready', coldMs, 'ms'),
    below(4_000, { what: 'warm start to ready, median', value: medianOf(warm), unit: 'ms' }),
    below(4_000, { what: 'warm start to ready after kill -9, slowest', value: Math.max(...killed), unit: 'ms' }),
    below(10_000, { what: 'signal to end, slowest', value: Math.max(...ends), unit: 'ms' }),
    none('starts and ends not as promised', faults, say),
  ];

  async function startAfter(what: string, kill: (running: Running) => Promise<void>): Promise<number> {
    const doomed = start();
    await doomed.says('fmhl is ready at');
    await kill(doomed);
    const next = start();
    try {
      const ms = await next.says('fmhl is ready at');
      await endCleanly(next, 'SIGTERM to npm', faults);
      return ms;
    } catch (error) {
      faults.push(`the start after ${what}: ${String(error)}`);
      await next.killAll();
      return Number.POSITIVE_INFINITY;
    }
  }
}

/** Ends a start and checks that it says 0 and that no process of it stays. Answers the ms it took. */
async function endCleanly(
  running: Running,
  how: 'SIGTERM to npm' | 'SIGINT to the group',
  faults: string[],
): Promise<number> {
  const all = descendantsOf(running.pid);
  const { code, ms } = how === 'SIGTERM to npm' ? await running.stop('SIGTERM') : await running.stop('SIGINT', 'group');
  if (code !== 0) faults.push(`${how}: exit code ${code}: ${running.err.slice(-500)}`);
  const left = all.filter(isRunning);
  if (left.length > 0) faults.push(`${how}: ${left.length} processes stay`);
  return ms;
}

async function killEverything(running: Running): Promise<void> {
  await running.killAll();
}

/** Only npm is killed: the product notices, and its servers outlive it until the next start. */
async function killNpm(running: Running): Promise<void> {
  const product = descendantsOf(running.pid).slice(0, 2);
  process.kill(running.pid, 'SIGKILL');
  await running.ended.catch(() => {});
  await pollUntil(() => !product.some(isRunning), { deadlineMs: 5_000 });
}

async function hasNiche(admin: ApiClient): Promise<boolean> {
  const { items } = await admin.get<{ items: { slug: string }[] }>('/admin/niches');
  return items.some(({ slug }) => slug === 'kept') && items.length === 4;
}
