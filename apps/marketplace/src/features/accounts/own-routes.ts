import type { Database } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { actorOf } from '../../access.ts';
import { idParams } from '../../id-params.ts';
import { cutPage, decodeCursor, momentCursor, pageOf, pageQuery } from '../../paging.ts';
import { currentSession } from '../auth/index.ts';
import { type ApiTokenRow, listApiTokens } from './api-token-queries.ts';
import { addApiToken, endApiToken } from './api-tokens.ts';
import { apiToken, createdToken, createTokenRequest, ownSession } from './contract.ts';
import { forFreshSessions } from './fresh-factor.ts';
import { endSession, listSessions, type OwnSessionRow } from './own-sessions.ts';

export interface OwnDeps {
  db: Database;
  now: () => Date;
}

const tags = ['auth'];
const config = { access: 'signed_in' } as const;

/** The own sessions. */
export function sessionRoutes(app: FastifyInstance, { db, now }: OwnDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/auth/sessions',
    config,
    schema: { tags, summary: 'The own sessions', querystring: pageQuery, response: { 200: pageOf(ownSession) } },
    handler: async (request) => {
      const { limit, cursor } = request.query;
      const { id, user_id: userId } = currentSession(request);
      const after = decodeCursor(cursor, momentCursor);
      const rows = await listSessions(db, { userId, now: now(), after, limit: limit + 1 });
      return cutPage(rows, limit, { item: (row) => viewSession(row, id), cursor: (row) => [row.position, row.id] });
    },
  });
  routes.route({
    method: 'DELETE',
    url: '/auth/sessions/:id',
    config,
    schema: { tags, summary: 'End one of the own sessions', params: idParams, response: { 204: z.null() } },
    handler: async (request, reply) => {
      const { user_id: userId } = currentSession(request);
      const ending = { id: request.params.id, userId, actor: actorOf(request), now: now() };
      await db.transaction((tx) => endSession(tx, ending));
      return reply.code(204).send(null);
    },
  });
}

/** The own API tokens. Without `Idempotency-Key`: it would store a token that is shown once. */
export function tokenRoutes(app: FastifyInstance, { db, now }: OwnDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/auth/tokens',
    config,
    schema: { tags, summary: 'The own API tokens', querystring: pageQuery, response: { 200: pageOf(apiToken) } },
    handler: async (request) => {
      const { limit, cursor } = request.query;
      const { user_id: userId } = currentSession(request);
      const after = decodeCursor(cursor, momentCursor);
      const rows = await listApiTokens(db, { userId, after, limit: limit + 1 });
      return cutPage(rows, limit, { item: viewToken, cursor: (row) => [row.position, row.id] });
    },
  });
  routes.route({
    ...forFreshSessions({ now }),
    method: 'POST',
    url: '/auth/tokens',
    schema: {
      tags,
      summary: 'Make an API token, shown once; needs a second factor of the last 15 minutes',
      body: createTokenRequest,
      response: { 201: createdToken },
    },
    handler: async (request, reply) => {
      const { name, scopes, expires_in_days: expiresInDays } = request.body;
      const permissions = request.authorization?.permissions ?? new Set<string>();
      const draft = { actor: actorOf(request), permissions, name, scopes, expiresInDays, now: now() };
      const { token, row } = await db.transaction((tx) => addApiToken(tx, draft));
      return reply.code(201).send({ ...viewToken(row), token });
    },
  });
  routes.route({
    method: 'DELETE',
    url: '/auth/tokens/:id',
    config,
    schema: { tags, summary: 'End one of the own API tokens', params: idParams, response: { 204: z.null() } },
    handler: async (request, reply) => {
      currentSession(request);
      const input = { id: request.params.id, actor: actorOf(request), now: now() };
      await db.transaction((tx) => endApiToken(tx, input));
      return reply.code(204).send(null);
    },
  });
}

function viewSession({ position: _position, mfa_at, ...row }: OwnSessionRow, currentId: string) {
  return {
    ...row,
    mfa: mfa_at !== null,
    current: row.id === currentId,
    created_at: row.created_at.toISOString(),
    last_seen_at: row.last_seen_at.toISOString(),
    expires_at: row.expires_at.toISOString(),
  };
}

function viewToken({ position: _position, ...row }: ApiTokenRow) {
  return {
    ...row,
    created_at: row.created_at.toISOString(),
    expires_at: row.expires_at.toISOString(),
    last_used_at: row.last_used_at?.toISOString() ?? null,
    revoked_at: row.revoked_at?.toISOString() ?? null,
  };
}
