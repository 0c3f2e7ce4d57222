/**
 * One process of the benchmark, forked by `dlq-process.ts`: `api` serves the operations API as a host does, `engine` runs the loops that
 * redrives need, with a worker that is stuck once it has run the canary, and `board` serves bull-board. It tells its parent the port, and
 * answers each message with its memory.
 */
import { openSync } from 'node:fs';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { createBullBoard } from '@bull-board/api';
import { FastifyAdapter } from '@bull-board/fastify';
import { Queue } from 'bullmq';
import fastify, { type FastifyInstance } from 'fastify';
import { Redis } from 'ioredis';
import { createLogger } from '../packages/ops/src/logging/index.ts';
import { type Ops, openOps } from '../packages/ops/src/ops.ts';
import { openDatabase } from '../packages/ops/src/postgres/index.ts';
import { done, type Job } from '../packages/ops/src/queues/index.ts';
import { boardPrefix, boardQueue } from './dlq-redis.ts';
import { canarySize, largestQueue, prefix, queues } from './dlq-world.ts';

export type Role = 'api' | 'engine' | 'board';

export interface ServerMessage {
  readonly port?: number;
  readonly rss?: number;
}

const permissions: ReadonlySet<string> = new Set(
  `queue.read dlq.read dlq.retry dlq.resolve dlq.annotate dlq.reveal queue.control redrive.plan redrive.run`.split(' '),
);

function openPlane(databaseUrl: string, redisUrl: string): Ops {
  const destination = openSync('/dev/null', 'w');
  const names = { service: 'bench', version: 'bench', instance: 'bench', bootId: 'bench' };
  const actor = { id: 'operator', name: 'operator', via: 'http' } as const;
  return openOps({
    db: openDatabase({ url: databaseUrl, poolSize: 10 }),
    redisUrl,
    prefix,
    queues,
    version: 'bench',
    authorize: () => ({ actor, permissions, secondFactorAt: new Date() }),
    log: createLogger({ level: 'info', format: 'json', ...names, destination }),
    mostWaiting: 1_000_000,
    probeEveryMs: 0,
    redrives: { undoMs: 100, limits: { window: 1_000_000 } },
  });
}

async function serveApi(databaseUrl: string, redisUrl: string): Promise<FastifyInstance> {
  const app = fastify();
  await app.register(openPlane(databaseUrl, redisUrl).http, {
    prefix: '/api/v1/admin',
  });
  return app;
}

async function runEngine(databaseUrl: string, redisUrl: string): Promise<undefined> {
  const ops = openPlane(databaseUrl, redisUrl);
  let left = canarySize;
  const handler = async ({ signal }: Job) => {
    left -= 1;
    if (left < 0)
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    return done;
  };
  const parts = [ops.relay(), ops.scheduler(), ops.worker({ [largestQueue]: { handler, concurrency: canarySize } })];
  for (const part of parts) await part.start();
}

async function serveBoard(redisUrl: string): Promise<FastifyInstance> {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const serverAdapter = new FastifyAdapter();
  serverAdapter.setBasePath('/board');
  const adapter = new BullMQAdapter(new Queue(boardQueue, { connection, prefix: boardPrefix }));
  createBullBoard({ queues: [adapter], serverAdapter });
  const app = fastify();
  await app.register(serverAdapter.registerPlugin(), { prefix: '/board' });
  return app;
}

async function serve([role, databaseUrl = '', redisUrl = '']: string[]): Promise<void> {
  const tell = (message: ServerMessage) => process.send?.(message);
  process.on('message', () => tell({ rss: process.memoryUsage.rss() }));
  process.once('disconnect', () => process.exit());
  if (role === 'engine') {
    await runEngine(databaseUrl, redisUrl);
    return void tell({});
  }
  const app = await (role === 'api' ? serveApi(databaseUrl, redisUrl) : serveBoard(redisUrl));
  await app.listen({ host: '127.0.0.1', port: 0 });
  const address = app.server.address();
  tell({ port: typeof address === 'object' && address ? address.port : 0 });
}

if (import.meta.main) await serve(process.argv.slice(2));
