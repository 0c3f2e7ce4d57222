import { type Authorize, createMetrics, type Denials, jsonBody, opsCatalogue, web } from '@fmhl/ops';
import fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { permissionsOf } from '../access.ts';
import type { Log } from '../log.ts';

/** A server of some routes for `inject`, with the access checks and error bodies of the real one. */
export async function openTestServer(
  log: Log,
  {
    routes,
    authorize = authorizeByHeader,
    now,
    denials,
  }: {
    routes: (app: FastifyInstance) => void;
    authorize?: Authorize;
    now?: () => Date;
    denials?: Pick<Denials, 'record'>;
  },
): Promise<FastifyInstance> {
  const app = fastify();
  const metrics = createMetrics({
    enabled: false,
    catalogue: opsCatalogue(),
    queues: [],
    version: '0.0.0',
    commit: 'test',
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  jsonBody(app);
  web(app, { log, metrics, authorize, ...(now && { now }), ...(denials && { denials }) });
  routes(app);
  await app.ready();
  return app;
}

/** Trusts the headers `x-user` (an id) and `x-role`. */
const authorizeByHeader: Authorize = ({ headers }) => {
  const { 'x-user': id, 'x-role': role } = headers;
  if (typeof id !== 'string' || typeof role !== 'string') return undefined;
  const permissions = new Set(permissionsOf[role]);
  return { actor: { id, name: 'Test User', via: 'http' }, permissions, secondFactorAt: new Date() };
};

/** The headers that {@link openTestServer} trusts by default. */
export function signedInAs(userId: string, role: 'admin' | 'provider'): { 'x-user': string; 'x-role': string } {
  return { 'x-user': userId, 'x-role': role };
}
