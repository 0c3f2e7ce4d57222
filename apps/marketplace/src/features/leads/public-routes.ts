import { type Database, idempotencyKey } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { idParams } from '../../id-params.ts';
import type { Keys } from '../../keys.ts';
import type { ProductMetrics } from '../../metrics.ts';
import { confirmLead, resendConfirmation } from './confirm.ts';
import { confirmation, confirmed, erased, erasure, leadAccepted, leadSubmission, mailSentAgain } from './contract.ts';
import { eraseByToken, type EraseDeps } from './erase.ts';
import { openIntake } from './intake.ts';
import { openNicheDirectory } from './niche-directory.ts';
import { submitLead } from './submit.ts';

export interface PublicLeadDeps extends EraseDeps {
  readonly db: Database;
  readonly metrics: Pick<ProductMetrics, 'leadsSubmitted'>;
  /** Sign the links of the confirmation mails. */
  readonly keys: Keys;
}

const largestLeadBytes = 64 * 1024;

/** The consumer's side: submit a lead, confirm it, ask for the link again, have it erased. */
export function publicLeadRoutes(app: FastifyInstance, deps: PublicLeadDeps): void {
  submissionRoute(app, deps);
  erasureRoute(app, deps);
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/leads/confirm',
    config: { access: 'public' },
    bodyLimit: largestLeadBytes,
    schema: {
      tags: ['leads'],
      summary: 'Confirm a lead by the token of its mail; again: the same answer',
      body: confirmation,
      response: { 200: confirmed },
    },
    handler: async (request) => {
      const { id } = await confirmLead(deps.db, request.body.token, deps);
      return { id, status: 'pending_approval' as const };
    },
  });
  routes.route({
    method: 'POST',
    url: '/leads/:id/resend',
    config: { access: 'public' },
    bodyLimit: largestLeadBytes,
    schema: {
      tags: ['leads'],
      summary: 'Mail a new confirmation link, at most three times; the answer is always the same',
      params: idParams,
      response: { 202: mailSentAgain },
    },
    handler: async (request, reply) => {
      await deps.db.transaction((tx) => resendConfirmation(tx, request.params.id));
      return reply.code(202).send({ ok: true });
    },
  });
}

function erasureRoute(app: FastifyInstance, deps: PublicLeadDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/leads/erase',
    config: { access: 'public' },
    bodyLimit: largestLeadBytes,
    schema: {
      tags: ['leads'],
      summary: 'Remove the personal data of a lead by the token of its mails; again: the same answer',
      body: erasure,
      response: { 200: erased },
    },
    handler: async (request) => {
      const { id, erasedAt } = await deps.db.transaction((tx) => eraseByToken(tx, request.body.token, deps));
      return { id, erased_at: erasedAt.toISOString() };
    },
  });
}

function submissionRoute(app: FastifyInstance, deps: PublicLeadDeps): void {
  const submitDeps = { ...deps, intake: openIntake(deps.db), niches: openNicheDirectory(deps.db) };
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/leads',
    config: { access: 'public', idempotency: 'accepted', limit: 'lead' },
    bodyLimit: largestLeadBytes,
    schema: {
      tags: ['leads'],
      summary: 'Submit a lead; with an `Idempotency-Key` a repeat gets the first answer',
      body: leadSubmission,
      response: { 202: leadAccepted },
    },
    handler: async (request, reply) => {
      const { headers, ip, body } = request;
      const input = {
        submission: body,
        key: idempotencyKey(request),
        ip,
        userAgent: headers['user-agent'],
        pageUrl: headers.referer,
      };
      const { lead, replayed } = await submitLead(input, submitDeps);
      if (replayed) reply.header('idempotency-replayed', 'true');
      return reply.code(202).send(lead);
    },
  });
}
