import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import {
  captureProof,
  deadLetterReport,
  previewRetention,
  readProof,
  readReport,
  repairAnswer,
  repairBody,
  repairProof,
  retentionPreview,
} from '../dead-letter-report/index.ts';
import { judgeReveal } from './access.ts';
import type { AdminDeps } from './admin.ts';
import { count, operation } from './route.ts';
import { write } from './write.ts';

const letters = '/queues/dlq';

/** What died and what became of it, and the proof that nothing was lost. */
export function deadLetterReportRoutes(app: FastifyInstance, deps: AdminDeps): void {
  const { db, registry } = deps;
  operation(
    app,
    {
      method: 'GET',
      url: `${letters}/report`,
      permission: 'dlq.read',
      summary: 'Dead letters by queue, error, cause, version and hour, beside the window before',
      query: z.strictObject({ hours: count(1, 720).optional(), q: z.string().optional() }),
      answer: deadLetterReport,
    },
    async ({ query, actor, authorization }) =>
      readReport({ db, registry }, { ...query, actor, reveal: judgeReveal(authorization, new Date()) }),
  );
  operation(
    app,
    {
      method: 'GET',
      url: `${letters}/retention`,
      permission: 'dlq.read',
      summary: 'What the next cleanup removes, and what it holds',
      answer: retentionPreview,
    },
    async () => previewRetention(db),
  );
  operation(
    app,
    {
      method: 'GET',
      url: `${letters}/proof`,
      permission: 'dlq.read',
      summary: 'The capture proof: failed = captured = resolved + discarded + open',
      answer: captureProof,
    },
    async () => readProof(deps),
  );
  repairRoute(app, deps);
}

function repairRoute(app: FastifyInstance, { db, sweep, web: { log } }: AdminDeps): void {
  operation(
    app,
    {
      method: 'POST',
      url: `${letters}/proof/repair`,
      permission: 'job.control',
      idempotency: 'required',
      summary: 'Sweep the failed sets now',
      body: repairBody,
      answer: repairAnswer,
      status: 202,
    },
    async ({ body: { reason }, actor, request, reply }) =>
      write(db, request, reply, async (tx) => {
        const onError = (error: unknown) => log.error('proof_repair_failed', error);
        await repairProof(db, tx, { reason, actor, sweep, onError });
        return { status: 202, body: { ok: true, message: 'Sweep started' } };
      }),
  );
}
