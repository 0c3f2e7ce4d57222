import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { challenge, type ChallengeDeps } from './challenge.ts';
import {
  challengeRequest,
  disableRequest,
  disableResponse,
  enrolResponse,
  sessionResponse,
  verifyRequest,
  verifyResponse,
} from './contract.ts';
import { disable, enrol, verifyEnrolment } from './enrol.ts';
import type { Passwords } from './passwords.ts';
import { clientOf, currentSession, type OpenedSession, setSessionCookie } from './sessions.ts';

const tags = ['auth'];

/** Showing a second factor, turning it on and off. None takes an `Idempotency-Key`: what they answer is shown once. */
export function secondFactorRoutes(app: FastifyInstance, deps: ChallengeDeps & { passwords: Passwords }): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/auth/mfa/challenge',
    config: { access: 'signed_in', acceptsPending: true },
    schema: {
      tags,
      summary: 'Show the second factor; the answer has a new token',
      body: challengeRequest,
      response: { 200: sessionResponse },
    },
    handler: async (request, reply) => {
      const opened = await challenge(currentSession(request), { proof: request.body, client: clientOf(request) }, deps);
      setSessionCookie(request, reply, opened);
      return sessionAnswer(opened);
    },
  });
  routes.route({
    method: 'POST',
    url: '/auth/mfa/enroll',
    config: { access: 'signed_in' },
    schema: { tags, summary: 'Make a secret for an authenticator app', response: { 200: enrolResponse } },
    handler: async (request) => {
      const { secret, otpauthUrl } = await enrol(currentSession(request), deps);
      return { secret, otpauth_url: otpauthUrl };
    },
  });
  changeRoutes(app, deps);
}

function changeRoutes(app: FastifyInstance, deps: ChallengeDeps & { passwords: Passwords }): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/auth/mfa/verify',
    config: { access: 'signed_in' },
    schema: {
      tags,
      summary: 'Turn the second factor on with its first code; the answer has a new token and the recovery codes',
      body: verifyRequest,
      response: { 200: verifyResponse },
    },
    handler: async (request, reply) => {
      const shown = { code: request.body.code, client: clientOf(request) };
      const { recoveryCodes, ...opened } = await verifyEnrolment(currentSession(request), shown, deps);
      setSessionCookie(request, reply, opened);
      return { ...sessionAnswer(opened), enabled: true as const, recovery_codes: recoveryCodes };
    },
  });
  routes.route({
    method: 'POST',
    url: '/auth/mfa/disable',
    config: { access: 'signed_in' },
    schema: {
      tags,
      summary: 'Turn the second factor off, with the password and a code',
      body: disableRequest,
      response: { 200: disableResponse },
    },
    handler: async (request) => {
      await disable(currentSession(request), { proof: request.body, client: clientOf(request) }, deps);
      return { enabled: false as const };
    },
  });
}

export function sessionAnswer({ token, expiresAt }: OpenedSession) {
  return { token, token_type: 'Bearer' as const, expires_at: expiresAt.toISOString() };
}
