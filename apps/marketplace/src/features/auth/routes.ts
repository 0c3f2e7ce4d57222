import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ChallengeDeps } from './challenge.ts';
import {
  loginRequest,
  loginResponse,
  logoutRequest,
  meResponse,
  registerRequest,
  registerResponse,
} from './contract.ts';
import { login, type LoginDeps, publicUser } from './login.ts';
import { logout } from './logout.ts';
import { register, type RegisterDeps } from './register.ts';
import { secondFactorRoutes, sessionAnswer } from './second-factor-routes.ts';
import { clearSessionCookie, clientOf, currentSession, setSessionCookie } from './sessions.ts';

const tags = ['auth'];

export type AuthDeps = RegisterDeps & LoginDeps & ChallengeDeps;

/** Registration, sign-in with its second factor, and sign-out. */
export function authRoutes(app: FastifyInstance, deps: AuthDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/auth/register',
    config: { access: 'public', limit: 'register' },
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
      const { user, methods, ...opened } = await login({ ...request.body, ...clientOf(request) }, deps);
      setSessionCookie(request, reply, opened);
      const isPending = methods.length > 0;
      return { ...sessionAnswer(opened), mfa_required: isPending, ...(isPending && { methods: [...methods] }), user };
    },
  });
  sessionRoutes(app, deps);
  secondFactorRoutes(app, deps);
}

function sessionRoutes(app: FastifyInstance, deps: AuthDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/auth/logout',
    config: { access: 'signed_in', acceptsPending: true },
    schema: { tags, summary: 'Sign out, of all sessions if asked', body: logoutRequest, response: { 204: z.null() } },
    handler: async (request, reply) => {
      await logout(currentSession(request), { all: request.body?.all ?? false }, deps);
      clearSessionCookie(request, reply);
      return reply.code(204).send(null);
    },
  });
  routes.route({
    method: 'GET',
    url: '/auth/me',
    config: { access: 'signed_in' },
    schema: { tags, summary: 'Who is signed in', response: { 200: meResponse } },
    handler: async (request) => {
      const session = currentSession(request);
      const mfaAt = session.mfa_at?.toISOString() ?? null;
      return {
        user: publicUser({ ...session, id: session.user_id }),
        session: { mfa: mfaAt !== null, mfa_at: mfaAt, expires_at: session.expires_at.toISOString() },
      };
    },
  });
}
