import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { refuse } from '../../errors.ts';
import { liveSession, secondFactorOf } from './authorizer.ts';
import {
  loginRequest,
  loginResponse,
  logoutRequest,
  meResponse,
  registerRequest,
  registerResponse,
} from './contract.ts';
import { login, publicUser } from './login.ts';
import { revokeSessions } from './queries.ts';
import { register, type RegisterDeps } from './register.ts';
import { sessionCookie, writeCookie } from './session-cookie.ts';
import { presentedToken } from './token.ts';

const tags = ['auth'];

/** Registration, sign-in and sign-out. */
export function authRoutes(app: FastifyInstance, deps: RegisterDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/auth/register',
    config: { access: 'public' },
    schema: { tags, summary: 'Register as a provider', body: registerRequest, response: { 201: registerResponse } },
    // Without `Idempotency-Key`: it would store a fast hash of the password. A repeat changes nothing anyway.
    handler: async (request, reply) => {
      await register(request.body, deps);
      return reply.code(201).send({ ok: true });
    },
  });
  routes.route({
    method: 'POST',
    url: '/auth/login',
    config: { access: 'public' },
    schema: { tags, summary: 'Sign in', body: loginRequest, response: { 200: loginResponse } },
    handler: async (request, reply) => {
      const client = { ip: request.ip, userAgent: request.headers['user-agent'] };
      const { token, expiresAt, user } = await login({ ...request.body, ...client }, deps);
      setCookie(request, reply, token, expiresAt);
      return {
        token,
        token_type: 'Bearer' as const,
        expires_at: expiresAt.toISOString(),
        mfa_required: false as const,
        user,
      };
    },
  });
  sessionRoutes(app, deps);
}

function sessionRoutes(app: FastifyInstance, { db, now }: RegisterDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/auth/logout',
    config: { access: 'signed_in' },
    schema: { tags, summary: 'Sign out, of all sessions if asked', body: logoutRequest, response: { 204: z.null() } },
    handler: async (request, reply) => {
      const presented = presentedToken(request);
      const userId = request.authorization?.actor.id;
      if (!presented || userId === undefined) throw refuse('no_session');
      await revokeSessions(db, { tokenSha256: presented.sha256, userId, all: request.body?.all ?? false, now: now() });
      setCookie(request, reply, '', new Date(0));
      return reply.code(204).send(null);
    },
  });
  routes.route({
    method: 'GET',
    url: '/auth/me',
    config: { access: 'signed_in' },
    schema: { tags, summary: 'Who is signed in', response: { 200: meResponse } },
    handler: async (request) => {
      const presented = presentedToken(request);
      const session = presented && (await liveSession(db, presented.sha256, now()));
      if (!session) throw refuse('no_session');
      const mfaAt = secondFactorOf(session, now());
      return {
        user: publicUser({ ...session, id: session.user_id }),
        session: { mfa: true, mfa_at: mfaAt.toISOString(), expires_at: session.expires_at.toISOString() },
      };
    },
  });
}

function setCookie(request: FastifyRequest, reply: FastifyReply, token: string, expires: Date): void {
  reply.header('set-cookie', writeCookie(sessionCookie(request), token, expires));
}
