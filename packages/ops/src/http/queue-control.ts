import type { FastifyInstance } from 'fastify';
import {
  applyWish,
  controlledQueue,
  pauseBody,
  pauseQueue,
  queueDetail,
  queueNamed,
  readQueueDetail,
  resumeBody,
  resumeQueue,
  type Wished,
} from '../queue-control/index.ts';
import type { QueuePause } from '../queues/index.ts';
import type { AdminDeps } from './admin.ts';
import { queueJobRoutes, queueParam } from './queue-jobs.ts';
import { operation } from './route.ts';
import { write } from './write.ts';

/** One queue: what it does, and what operators wish of it. */
export function queueControlRoutes(app: FastifyInstance, deps: AdminDeps): void {
  detailRoute(app, deps);
  pauseRoute(app, deps);
  resumeRoute(app, deps);
  queueJobRoutes(app, deps);
}

function detailRoute(app: FastifyInstance, deps: AdminDeps): void {
  operation(
    app,
    {
      method: 'GET',
      url: '/queues/:queue',
      permission: 'queue.read',
      summary: 'One queue: its workers, its times, its flow, and what is unwise in its options',
      params: queueParam,
      answer: queueDetail,
    },
    async ({ params }) => readQueueDetail(deps, queueNamed(deps.registry, params.queue)),
  );
}

function pauseRoute(app: FastifyInstance, deps: AdminDeps): void {
  operation(
    app,
    {
      method: 'POST',
      url: '/queues/:queue/pause',
      permission: 'queue.control',
      summary: 'Let no job of a queue begin; attempts under way finish',
      params: queueParam,
      body: pauseBody,
      answer: controlledQueue,
    },
    async ({ params, body, actor, request, reply }) => {
      const queue = queueNamed(deps.registry, params.queue);
      const wished = await write(deps.db, request, reply, async (tx) => ({
        status: 200,
        body: await pauseQueue(tx, { queue, actor, reason: body.reason, forS: body.for_s }),
      }));
      return answerOf(deps, queue, wished);
    },
  );
}

function resumeRoute(app: FastifyInstance, deps: AdminDeps): void {
  operation(
    app,
    {
      method: 'POST',
      url: '/queues/:queue/resume',
      permission: 'queue.control',
      summary: 'Let the jobs of a queue begin again',
      params: queueParam,
      body: resumeBody,
      answer: controlledQueue,
    },
    async ({ params, body, actor, request, reply }) => {
      const queue = queueNamed(deps.registry, params.queue);
      const pausedInRedis = await deps.queues.isPaused(queue).catch(() => false);
      const wished = await write(deps.db, request, reply, async (tx) => ({
        status: 200,
        body: await resumeQueue(tx, { queue, actor, reason: body.reason, pausedInRedis }),
      }));
      return answerOf(deps, queue, wished);
    },
  );
}

/** Tells Redis, and answers with the queue. While Redis is away the wish stands, and the scheduler tells Redis when it is back. */
async function answerOf({ db, queues, overview }: AdminDeps, queue: string, { already, pause }: Wished) {
  await applyWish(db, queues, queue).catch(() => false);
  const row = (await overview()).queues.find(({ name }) => name === queue);
  return { ...row, paused: pause satisfies QueuePause | null, already };
}
