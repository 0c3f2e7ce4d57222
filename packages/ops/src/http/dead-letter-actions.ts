import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import {
  closeAnswer,
  closeBody,
  closeLetter,
  type Closing,
  conflictOf,
  deleteAnswer,
  deleteBody,
  readLetter,
  retryAnswer,
  retryBody,
  retryLetter,
  retryPreview,
} from '../dead-letters/index.ts';
import type { OpsPermission } from '../permissions/index.ts';
import { type Authorization, demand, mayReveal } from './access.ts';
import type { AdminDeps } from './admin.ts';
import { idParam, operation } from './route.ts';
import { write } from './write.ts';

const letter = '/queues/dlq/:id';

/** What an operator does to one dead letter. */
export function deadLetterActionRoutes(app: FastifyInstance, deps: AdminDeps): void {
  retryRoute(app, deps);
  deleteRoute(app, deps);
  closeRoute(app, deps, {
    action: 'resolve',
    permission: 'dlq.resolve',
    summary: 'Close a dead letter: its work is done or not needed',
  });
  closeRoute(app, deps, {
    action: 'discard',
    permission: 'dlq.discard',
    summary: 'Close a dead letter: its work will not be done',
  });
  closeRoute(app, deps, { action: 'restore', permission: 'dlq.resolve', summary: 'Open a closed dead letter again' });
}

function retryRoute(app: FastifyInstance, { db, registry, overview }: AdminDeps): void {
  operation(
    app,
    {
      method: 'POST',
      url: `${letter}/retry`,
      permission: 'dlq.retry',
      summary: 'Run a dead letter again, exactly once',
      params: idParam,
      body: retryBody,
      answer: retryAnswer.or(retryPreview),
    },
    async ({ params, body, actor, authorization, request, reply }) => {
      if (body.patch) demandEdit(body.patch, authorization);
      if (body.target_queue !== undefined) demand(authorization, { permission: 'dlq.edit', secondFactor: 'verified' });
      const ask = askOf(body);
      if (ask.dryRun) {
        const plan = await db.transaction((tx) =>
          retryLetter(tx, { id: params.id, ask, actor, registry, now: new Date() }),
        );
        return previewOf(plan, mayReveal(authorization, new Date()));
      }
      const answer = await write(db, request, reply, async (tx) => {
        const plan = await retryLetter(tx, { id: params.id, ask, actor, registry, now: new Date() });
        return { status: 200, body: retriedOf(plan) };
      });
      return { ...answer, ...(await dispatchOf(overview, answer.queue)) };
    },
  );
}

/** What compares or moves values inside a payload would tell those that are masked, and needs to see them. */
function demandEdit(patch: NonNullable<z.infer<typeof retryBody>['patch']>, authorization: Authorization): void {
  demand(authorization, { permission: 'dlq.edit', secondFactor: 'fresh' });
  const looks = patch.some(({ op }) => op === 'test' || op === 'copy' || op === 'move');
  if (looks) demand(authorization, { permission: 'dlq.reveal', secondFactor: 'fresh' });
}

function askOf(body: z.infer<typeof retryBody>) {
  return {
    reason: body.reason,
    dryRun: body.dry_run,
    delayMs: body.delay_ms,
    targetQueue: body.target_queue,
    patch: body.patch,
    confirm: body.confirm,
    acceptStale: body.accept_stale,
    expectedVersion: body.expected_version,
    expectedSha256: body.expected_sha256,
  };
}

type Plan = Awaited<ReturnType<typeof retryLetter>>;

function retriedOf({ jobId, generation, queue }: Plan) {
  const message = 'Job re-enqueued successfully';
  return { ok: true, job_id: jobId, message, state: 'retrying', generation, queue } as const;
}

/** For who may not see personal values now, the differences are places alone: a value may have been in the payload before. */
function previewOf({ queue, kind, jobId, sideEffect, edited, warnings }: Plan, inClear: boolean) {
  const diff = edited?.diff ?? [];
  return {
    ok: true,
    dry_run: true,
    queue,
    kind,
    job_id: jobId,
    side_effect: sideEffect,
    diff: inClear ? diff : diff.map(({ op, path }) => ({ op, path })),
    warnings,
  };
}

/** How soon it will run, as far as is known: the decision stands in any case. */
async function dispatchOf(overview: AdminDeps['overview'], queue: string) {
  const known = await overview().catch(() => undefined);
  const row = known?.queues.find(({ name }) => name === queue);
  const dispatch = known?.counted_from === 'redis' ? 'under_way' : 'pending';
  return { dispatch, ...(row?.paused && { note: 'queue is paused' }) };
}

function deleteRoute(app: FastifyInstance, { db }: AdminDeps): void {
  operation(
    app,
    {
      method: 'DELETE',
      url: letter,
      permission: 'dlq.resolve',
      summary: 'Close a dead letter; nothing is deleted',
      params: idParam,
      body: deleteBody,
      answer: deleteAnswer,
    },
    async ({ params: { id }, body, actor, request, reply }) =>
      write(db, request, reply, async (tx) => {
        const seen = await readLetter(tx, id);
        const ok = { ok: true, message: 'DLQ entry marked as resolved' } as const;
        if (!seen.resolved) {
          const { already } = await closeLetter(tx, { id, action: 'resolve', actor, ...body });
          if (!already) return { status: 200, body: ok };
        }
        const { by, at } = await conflictOf(tx, seen);
        return { status: 200, body: { ...ok, already: true, by, at } };
      }),
  );
}

interface CloseRoute {
  readonly action: Closing;
  readonly permission: OpsPermission;
  readonly summary: string;
}

function closeRoute(app: FastifyInstance, { db }: AdminDeps, { action, permission, summary }: CloseRoute): void {
  operation(
    app,
    {
      method: 'POST',
      url: `${letter}/${action}`,
      permission,
      summary,
      params: idParam,
      body: closeBody,
      answer: closeAnswer,
    },
    async ({ params: { id }, body, actor, request, reply }) => {
      const { reason, ticket, expected_version: expectedVersion } = body;
      return write(db, request, reply, async (tx) => {
        const { already } = await closeLetter(tx, { id, action, actor, reason, ticket, expectedVersion });
        const { state, version, resolution } = await readLetter(tx, id);
        return { status: 200, body: { id, state, version, resolution, ...(already && { already }) } };
      });
    },
  );
}
