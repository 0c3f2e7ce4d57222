import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { idParams } from '../../id-params.ts';
import { credentialOptions } from '../../passkey-credential.ts';
import { clientOf, currentSession, loginResponse, setSessionCookie } from '../auth/index.ts';
import { passkeyRequest, type PasskeyRow, passkeysOf } from '../second-factor/index.ts';
import { addPasskeyRequest, passkey, passkeyList, passkeyLoginRequest } from './contract.ts';
import { forFreshSessions } from './fresh-factor.ts';
import { beginPasskey, finishPasskey, type OwnPasskeyDeps, removePasskey, signInByPasskey } from './own-passkeys.ts';

const tags = ['auth'];
const config = { access: 'signed_in' } as const;

/** Passkeys: making, listing and removing the own ones, and signing in with one alone. */
export function passkeyRoutes(app: FastifyInstance, deps: OwnPasskeyDeps): void {
  listRoutes(app, deps);
  registrationRoutes(app, deps);
  signInRoutes(app, deps);
}

function listRoutes(app: FastifyInstance, deps: OwnPasskeyDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/auth/passkeys',
    config,
    schema: { tags, summary: 'The own passkeys, 20 at most', response: { 200: passkeyList } },
    handler: async (request) => {
      const rows = await passkeysOf(deps.db, currentSession(request).user_id);
      return { items: rows.map(viewPasskey) };
    },
  });
  routes.route({
    ...forFreshSessions(deps),
    method: 'DELETE',
    url: '/auth/passkeys/:id',
    schema: {
      tags,
      summary: 'Remove one of the own passkeys; needs a second factor of the last 15 minutes',
      params: idParams,
      response: { 204: z.null() },
    },
    handler: async (request, reply) => {
      await removePasskey(currentSession(request), request.params.id, deps);
      return reply.code(204).send(null);
    },
  });
}

function registrationRoutes(app: FastifyInstance, deps: OwnPasskeyDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/auth/passkeys/options',
    config,
    schema: { tags, summary: 'What a browser needs to make a passkey', response: { 200: credentialOptions } },
    handler: async (request) => ({ ...(await beginPasskey(currentSession(request), deps)) }),
  });
  routes.route({
    method: 'POST',
    url: '/auth/passkeys',
    config,
    schema: {
      tags,
      summary: 'Add the passkey that the browser has made; who has a second factor needs it fresh',
      body: addPasskeyRequest,
      response: { 201: passkey },
    },
    handler: async (request, reply) =>
      reply.code(201).send(viewPasskey(await finishPasskey(currentSession(request), request.body, deps))),
  });
}

function signInRoutes(app: FastifyInstance, deps: OwnPasskeyDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/auth/login/passkey/options',
    config: { access: 'public' },
    schema: {
      tags,
      summary: 'What a browser needs to show a passkey, here or as a second factor',
      response: { 200: credentialOptions },
    },
    handler: async () => ({ ...(await passkeyRequest(deps.db, deps.now(), deps)) }),
  });
  routes.route({
    method: 'POST',
    url: '/auth/login/passkey',
    config: { access: 'public' },
    schema: {
      tags,
      summary: 'Sign in with a passkey, which is both factors',
      body: passkeyLoginRequest,
      response: { 200: loginResponse },
    },
    handler: async (request, reply) => {
      const { credential } = request.body;
      const { user, ...opened } = await signInByPasskey({ credential, client: clientOf(request) }, deps);
      setSessionCookie(request, reply, opened);
      const expires_at = opened.expiresAt.toISOString();
      return { token: opened.token, token_type: 'Bearer' as const, expires_at, mfa_required: false, user };
    },
  });
}

function viewPasskey({ id, name, created_at, last_used_at }: PasskeyRow) {
  const lastUsedAt = last_used_at?.toISOString() ?? null;
  return { id, name, created_at: created_at.toISOString(), last_used_at: lastUsedAt };
}
