import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { openCursors } from '../dead-letter-search/index.ts';
import {
  explainJobWait,
  explainQueueWait,
  explanation,
  jobList,
  jobRowOf,
  jobStates,
  jobView,
  listJobs,
  promotedJob,
  promoteJob,
  queueNamed,
  removeBody,
  removedJob,
  removeJob,
  viewJob,
} from '../queue-control/index.ts';
import { refuse } from '../refusals/index.ts';
import { demand, mayReveal } from './access.ts';
import type { AdminDeps } from './admin.ts';
import { type Call, count, operation, reason } from './route.ts';
import { write } from './write.ts';

/** A queue's name or alias. */
export const queueParam = z.strictObject({ queue: z.string().min(1).max(100) });

/** An id that a job can have: that of its run. */
const jobParam = queueParam.extend({
  job_id: z
    .string()
    .max(200)
    // oxlint-disable-next-line no-control-regex -- a text with this character cannot be asked of Postgres
    .regex(/^[^:\u0000]+$/, 'must be the id of a job: 1 to 200 characters without ":"'),
});

const viewQuery = z.strictObject({
  payload: z.enum(['masked', 'clear']).optional(),
  /** Needed for `clear`. */
  reason: z.string().optional(),
});

const job = '/queues/:queue/jobs/:job_id';

/** The jobs of a queue. */
export function queueJobRoutes(app: FastifyInstance, deps: AdminDeps): void {
  listRoute(app, deps);
  viewRoute(app, deps);
  promoteRoute(app, deps);
  removeRoute(app, deps);
  explainRoutes(app, deps);
}

function listRoute(app: FastifyInstance, { db, registry }: AdminDeps): void {
  const cursors = openCursors(db);
  operation(
    app,
    {
      method: 'GET',
      url: '/queues/:queue/jobs',
      permission: 'queue.read',
      summary: 'The jobs of a queue in one state, without payloads',
      params: queueParam,
      query: z.strictObject({
        state: z.enum(jobStates).optional(),
        kind: z.string().min(1).max(200).optional(),
        limit: count(1, 200).optional(),
        cursor: z.string().max(2_000).optional(),
      }),
      answer: jobList,
    },
    async ({ params, query }) => {
      const { state = 'waiting', kind, limit = 50, cursor } = query;
      return listJobs({ db, cursors }, { queue: queueNamed(registry, params.queue), state, kind, limit, cursor });
    },
  );
}

function viewRoute(app: FastifyInstance, { db, registry }: AdminDeps): void {
  operation(
    app,
    {
      method: 'GET',
      url: job,
      permission: 'queue.read',
      summary: 'One job: its run, its attempts, its times and its payload; the view is audited',
      params: jobParam,
      query: viewQuery,
      answer: jobView,
    },
    async (call) => {
      const queue = queueNamed(registry, call.params.queue);
      const viewing = { registry, queue, jobId: call.params.job_id, actor: call.actor, ...viewingOf(call) };
      return db.transaction((tx) => viewJob(tx, viewing));
    },
  );
}

/** Personal values are shown to those who may see them and showed their second factor lately, unless they ask for masks. */
function viewingOf({ query, authorization }: Call<unknown, z.infer<typeof viewQuery>, unknown>) {
  if (query.payload !== 'clear')
    return { inClear: query.payload === undefined && mayReveal(authorization, new Date()) };
  demand(authorization, { permission: 'dlq.reveal', secondFactor: 'fresh' });
  const given = reason.safeParse(query.reason);
  if (!given.success) {
    throw refuse('reason_required', { faults: [{ at: 'query.reason', message: 'must have 5 to 500 characters' }] });
  }
  return { inClear: true, reason: given.data };
}

function promoteRoute(app: FastifyInstance, { db, registry }: AdminDeps): void {
  operation(
    app,
    {
      method: 'POST',
      url: `${job}/promote`,
      permission: 'job.control',
      summary: 'Run a delayed job now',
      params: jobParam,
      answer: promotedJob,
    },
    async ({ params, actor, request, reply }) => {
      const queue = queueNamed(registry, params.queue);
      return write(db, request, reply, async (tx) => {
        const run = await promoteJob(tx, { queue, jobId: params.job_id, actor });
        return { status: 200, body: { ok: true, job: jobRowOf(run) } };
      });
    },
  );
}

function removeRoute(app: FastifyInstance, { db, registry, queues, deathHooks }: AdminDeps): void {
  operation(
    app,
    {
      method: 'POST',
      url: `${job}/remove`,
      permission: 'job.control',
      fresh: true,
      summary: 'End a job that is not under way; its dead letter is born discarded, and can be restored',
      params: jobParam,
      body: removeBody,
      answer: removedJob,
    },
    async ({ params, body, actor, request, reply }) => {
      const queue = queueNamed(registry, params.queue);
      const ask = { queue, jobId: params.job_id, actor, reason: body.reason, queues, hooks: deathHooks };
      return write(db, request, reply, async (tx) => {
        const { letterId, already } = await removeJob(tx, ask);
        return { status: 200, body: { ok: true, dead_letter_id: letterId, already } };
      });
    },
  );
}

function explainRoutes(app: FastifyInstance, deps: AdminDeps): void {
  operation(
    app,
    {
      method: 'GET',
      url: '/queues/:queue/explain',
      permission: 'queue.read',
      summary: 'Why the jobs of a queue wait',
      params: queueParam,
      answer: explanation,
    },
    async ({ params }) => explainQueueWait(deps, queueNamed(deps.registry, params.queue)),
  );
  operation(
    app,
    {
      method: 'GET',
      url: `${job}/explain`,
      permission: 'queue.read',
      summary: 'Why a job does not run',
      params: jobParam,
      answer: explanation,
    },
    async ({ params }) => explainJobWait(deps, queueNamed(deps.registry, params.queue), params.job_id),
  );
}
