import { type Database, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, staff } from '../../access.ts';
import { idParams } from '../../id-params.ts';
import type { Log } from '../../log.ts';
import { cutPage, decodeCursor, momentCursor, pageOf } from '../../paging.ts';
import { hashChosenPassword, type Passwords, readablePassword } from '../auth/index.ts';
import {
  addUser,
  type Changed,
  changeRole,
  disableUser,
  enableUser,
  endUserSessions,
  type ProviderSwitch,
} from './administer-users.ts';
import {
  addUserRequest,
  changedUser,
  changeRoleRequest,
  endedSessions,
  userActionRequest,
  userCard,
  userQuery,
} from './contract.ts';
import { listUsers, type UserRow } from './user-queries.ts';

export interface UserAdministrationDeps extends ProviderSwitch {
  db: Database;
  log: Log;
  passwords: Passwords;
  now: () => Date;
}

const tags = ['users'];
const access = staff('user.write');
const fresh = staff('user.write', 'fresh');

/** Users, for administrators. */
export function userRoutes(app: FastifyInstance, deps: UserAdministrationDeps): void {
  listRoute(app, deps);
  roleRoutes(app, deps);
  lockRoutes(app, deps);
  sessionsRoute(app, deps);
}

function listRoute(app: FastifyInstance, { db }: UserAdministrationDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: '/admin/users',
    config: { access },
    schema: { tags, summary: 'Users, newest first', querystring: userQuery, response: { 200: pageOf(userCard) } },
    handler: async ({ query: { limit, cursor, role, status } }) => {
      const after = decodeCursor(cursor, momentCursor);
      const rows = await listUsers(db, { role, status }, { after, limit: limit + 1 });
      return cutPage(rows, limit, { item: viewUser, cursor: (row) => [row.position, row.id] });
    },
  });
}

function roleRoutes(app: FastifyInstance, { db, log, passwords, now }: UserAdministrationDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/admin/users',
    config: { access: fresh, idempotency: 'accepted' },
    schema: {
      tags,
      summary: 'Add a member of staff, who gets a link to choose a password',
      body: addUserRequest,
      response: { 201: userCard },
    },
    handler: async (request, reply) => {
      const { email, role, display_name: displayName = role } = request.body;
      const passwordHash = await hashChosenPassword({ email, password: readablePassword() }, { passwords });
      const draft = { email, role, displayName, passwordHash };
      return write(db, request, reply, async (tx) => {
        const user = await addUser(tx, { draft, actor: actorOf(request), now: now() }, { log });
        return { status: 201, body: viewUser(user) };
      });
    },
  });
  routes.route({
    method: 'PUT',
    url: '/admin/users/:id/role',
    config: { access: fresh, idempotency: 'accepted' },
    schema: {
      tags,
      summary: 'Give a member of staff another role',
      params: idParams,
      body: changeRoleRequest,
      response: { 200: changedUser },
    },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const input = { userId: request.params.id, ...request.body, memo: request.body.memo, actor: actorOf(request) };
        return { status: 200, body: viewChange(await changeRole(tx, input)) };
      }),
  });
}

function lockRoutes(app: FastifyInstance, deps: UserAdministrationDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const actions = [
    { name: 'disable', act: disableUser, summary: 'Lock a user out: sessions and API tokens end at once' },
    { name: 'enable', act: enableUser, summary: 'Let a disabled user sign in again' },
  ];
  for (const { name, act, summary } of actions) {
    routes.route({
      method: 'POST',
      url: `/admin/users/:id/${name}`,
      config: { access, idempotency: 'accepted' },
      schema: { tags, summary, params: idParams, body: userActionRequest, response: { 200: changedUser } },
      handler: (request, reply) =>
        write(deps.db, request, reply, async (tx) => {
          const input = {
            userId: request.params.id,
            actor: actorOf(request),
            memo: request.body.memo,
            now: deps.now(),
          };
          return { status: 200, body: viewChange(await act(tx, input, deps)) };
        }),
    });
  }
}

function sessionsRoute(app: FastifyInstance, { db, now }: UserAdministrationDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/admin/users/:id/revoke-sessions',
    config: { access, idempotency: 'accepted' },
    schema: {
      tags,
      summary: 'End all sessions of a user',
      params: idParams,
      body: userActionRequest,
      response: { 200: endedSessions },
    },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const { memo } = request.body;
        const input = { userId: request.params.id, actor: actorOf(request), memo, now: now() };
        return { status: 200, body: { revoked: await endUserSessions(tx, input) } };
      }),
  });
}

function viewUser(row: UserRow) {
  const { id, email, display_name, role, status, version } = row;
  return {
    id,
    email,
    display_name,
    role,
    status,
    version,
    email_verified: row.email_verified_at !== null,
    last_login_at: row.last_login_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
  };
}

const viewChange = ({ user, changed }: Changed) => ({ ...viewUser(user), changed });
