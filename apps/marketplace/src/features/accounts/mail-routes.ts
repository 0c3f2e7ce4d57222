import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { currentSession } from '../auth/index.ts';
import { forgotPasswordRequest, ok, resetPasswordRequest, verifyEmailRequest } from './contract.ts';
import { forgotPassword, type ResetDeps, resetPassword } from './reset-password.ts';
import { resendVerification, verifyEmail } from './verify-email.ts';

const tags = ['auth'];

/** Longer than the slower of both ways takes, so that the time of the answer tells nobody who has an account; in ms. */
const answerAfterMs = 250;

/** What is done by links that were mailed. None takes an `Idempotency-Key`: a repeat changes nothing, and keys store hashes of bodies. */
export function mailRoutes(app: FastifyInstance, deps: ResetDeps): void {
  verificationRoutes(app, deps);
  passwordRoutes(app, deps);
}

function verificationRoutes(app: FastifyInstance, deps: ResetDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const { db, now } = deps;
  routes.route({
    method: 'POST',
    url: '/auth/verify-email',
    config: { access: 'public' },
    schema: { tags, summary: 'Verify an address by its link', body: verifyEmailRequest, response: { 200: ok } },
    handler: async ({ body }) => {
      await db.transaction((tx) => verifyEmail(tx, { token: body.token, now: now() }, deps));
      return { ok: true as const };
    },
  });
  routes.route({
    method: 'POST',
    url: '/auth/verify-email/resend',
    config: { access: 'signed_in' },
    schema: { tags, summary: 'Mail the link once more, at most three within an hour', response: { 202: ok } },
    handler: async (request, reply) => {
      const { user_id: userId } = currentSession(request);
      await db.transaction((tx) => resendVerification(tx, { userId, now: now() }));
      return reply.code(202).send({ ok: true });
    },
  });
}

function passwordRoutes(app: FastifyInstance, deps: ResetDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/auth/forgot-password',
    config: { access: 'public' },
    schema: {
      tags,
      summary: 'Mail a link for a new password, if the address has an account',
      body: forgotPasswordRequest,
      response: { 202: ok },
    },
    handler: async ({ body }, reply) => {
      await Promise.all([forgotPassword(body.email, deps), delay(answerAfterMs)]);
      return reply.code(202).send({ ok: true });
    },
  });
  routes.route({
    method: 'POST',
    url: '/auth/reset-password',
    config: { access: 'public' },
    schema: {
      tags,
      summary: 'Choose a password by its link; all sessions end',
      body: resetPasswordRequest,
      response: { 200: ok },
    },
    handler: async ({ body }) => {
      await resetPassword(body, deps);
      return { ok: true as const };
    },
  });
}
