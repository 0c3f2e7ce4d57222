import { setTimeout as wait } from 'node:timers/promises';
import { join } from 'node:path';
import { type EmbeddedPostgres, startPostgres } from '../../apps/marketplace/src/embedded/postgres.ts';
import { type EmbeddedRedis, startRedis } from '../../apps/marketplace/src/embedded/redis.ts';
import { sendSignal } from '../../apps/marketplace/src/embedded/server-process.ts';
import { below, type Figure } from '../../bench/report.ts';
import { exactly } from '../harness/figures.ts';
import { descendantsOf, fmhl, freePort, launch } from '../harness/product.ts';

/** A server of the product's, on a port of its own, which can be taken away and brought back. */
interface Server {
  readonly name: 'Redis' | 'Postgres';
  readonly url: string;
  /** In an orderly way, or as a crash does. */
  stop(): Promise<void>;
  kill(): void;
  /** Stands still without closing a connection, and goes on. */
  freeze(on: boolean): void;
  start(): Promise<void>;
}

async function openServer(name: Server['name'], dataDir: string): Promise<Server> {
  const port = await freePort();
  const begin = (): Promise<EmbeddedPostgres | EmbeddedRedis> =>
    name === 'Redis' ? startRedis({ dataDir, port }) : startPostgres({ dataDir, port });
  let running = await begin();
  const { url } = running;
  return {
    name,
    url,
    stop: () => running.stop(),
    kill: () => running.kill(),
    freeze: (on) => {
      // A frozen postmaster alone would leave its backends serving.
      for (const pid of [running.pid, ...descendantsOf(running.pid)]) sendSignal(pid, on ? 'SIGSTOP' : 'SIGCONT');
    },
    start: async () => {
      running = await begin();
    },
  };
}

/** What a load balancer and an orchestrator see while servers go and come. */
interface Watch {
  /** Resolves with the ms until `/health/ready` first answers so. */
  readyBecomes(status: 200 | 503): Promise<number>;
  /** Answers of `/health/live` other than 200, and those that took a second. */
  readonly notAlive: string[];
  end(): Promise<void>;
}

const everyMs = 25;
const givesUpAfterMs = 15_000;

function watch(url: string): Watch {
  const notAlive: string[] = [];
  let isOver = false;
  const looking = (async () => {
    while (!isOver) {
      const at = performance.now();
      const status = await statusOf(`${url}/health/live`);
      const ms = performance.now() - at;
      if (status !== 200 || ms > 1_000) notAlive.push(`${status} after ${Math.round(ms)} ms`);
      await wait(everyMs);
    }
  })();
  return {
    notAlive,
    async readyBecomes(status) {
      const startedAt = performance.now();
      const elapsed = () => performance.now() - startedAt;
      while ((await statusOf(`${url}/health/ready`)) !== status) {
        if (elapsed() > givesUpAfterMs) return Number.POSITIVE_INFINITY;
        await wait(everyMs);
      }
      return elapsed();
    },
    async end() {
      isOver = true;
      await looking;
    },
  };
}

async function statusOf(url: string): Promise<number> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return 0;
  }
}

/** Servers that stop, crash and freeze: readiness follows within two seconds both ways, liveness never moves. */
export async function outages({
  directory,
  say,
}: {
  directory: string;
  say: (line: string) => void;
}): Promise<Figure[]> {
  const redis = await openServer('Redis', join(directory, 'outage-redis'));
  const postgres = await openServer('Postgres', join(directory, 'outage-postgres'));
  const port = String(await freePort());
  const settings = {
    PORT: port,
    METRICS_PORT: '0',
    DATA_DIR: join(directory, 'outage-data'),
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
  };
  const product = launch([...fmhl, 'up', '--empty'], settings);
  try {
    await product.says('fmhl is ready at');
    const health = watch(`http://127.0.0.1:${port}`);
    await health.readyBecomes(200);
    const figures: Figure[] = [];
    for (const server of [redis, postgres]) {
      figures.push(
        ...(await goAndCome(server, 'stops', { health, go: () => server.stop(), come: () => server.start() })),
      );
      figures.push(
        ...(await goAndCome(server, 'is killed', { health, go: () => server.kill(), come: () => server.start() })),
      );
      figures.push(
        ...(await goAndCome(server, 'freezes', {
          health,
          go: () => server.freeze(true),
          come: () => server.freeze(false),
        })),
      );
    }
    await health.end();
    for (const line of health.notAlive) say(`not alive: ${line}`);
    await redis.stop();
    const { code, ms } = await product.stop('SIGTERM');
    return [
      ...figures,
      exactly(0, { what: '/health/live other than 200, or slow', value: health.notAlive.length, unit: 'answers' }),
      below(10_000, {
        what: 'SIGTERM to end while Redis is away',
        value: code === 0 ? ms : Number.POSITIVE_INFINITY,
        unit: 'ms',
      }),
    ];
  } finally {
    await product.killAll();
    await Promise.all([redis.stop(), postgres.stop()]);
  }
}

async function goAndCome(
  { name }: Server,
  how: string,
  { health, go, come }: { health: Watch; go: () => Promise<void> | void; come: () => Promise<void> | void },
): Promise<Figure[]> {
  const gone = go();
  const down = await health.readyBecomes(503);
  await gone;
  await come();
  const up = await health.readyBecomes(200);
  return [
    below(2_000, { what: `${name} ${how}: /health/ready 503 after`, value: down, unit: 'ms' }),
    below(2_000, { what: `${name} is back: /health/ready 200 after`, value: up, unit: 'ms' }),
  ];
}
