import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { answerError, gracefulClose, jsonBody, probes, Refusal, serverErrors, web } from '@fmhl/ops';
import fastJsonStringify from 'fast-json-stringify';
import fastify, { type FastifyInstance, type FastifySerializerCompiler, type RouteOptions } from 'fastify';
import { validatorCompiler } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { App } from './app.ts';
import { resetPasswordPage, verifyEmailPage } from './account-pages.ts';
import { confirmPage } from './confirm-page.ts';
import { erasePage } from './erase-page.ts';
import { accountRoutes } from './features/accounts/index.ts';
import { authRoutes } from './features/auth/index.ts';
import { badLeadRoutes } from './features/bad-leads/index.ts';
import { billingRoutes, paymentWebhookRoute } from './features/billing/index.ts';
import { distributionRoutes } from './features/distribution/index.ts';
import { emailRoutes } from './features/email/index.ts';
import { inboxRoutes } from './features/inbox/index.ts';
import { adminLeadRoutes, publicLeadRoutes } from './features/leads/index.ts';
import { exportRoutes, reportRoutes } from './features/reports/index.ts';
import { subscriptionRoutes } from './features/subscriptions/index.ts';
import { type FrontPageLink, frontPage } from './front-page.ts';
import { describeRoute } from './openapi.ts';
import { limitRequests, type RequestLimits } from './request-limits/index.ts';
import { securityHeaders } from './security-headers.ts';

/** Largest request body, in bytes. */
const bodyLimit = 64 * 1024;

/** What only some starts have, such as the embedded mailbox. */
export interface HttpExtras {
  readonly extend?: (server: FastifyInstance) => Promise<void>;
  readonly pages?: readonly FrontPageLink[];
  /** Default: no limits. */
  readonly limits?: RequestLimits;
  /** Told of every route as it is added, with what it declares. */
  readonly onRoute?: (route: RouteOptions) => void;
}

/** Builds the HTTP server of the role api: everything under `/api/v1`, its documentation, the guarded probes, the front page. */
export async function buildHttp(
  app: App,
  { extend, pages = [], limits, onRoute }: HttpExtras = {},
): Promise<FastifyInstance> {
  const server = fastify({
    ...serverErrors(app.log),
    bodyLimit,
    trustProxy: app.config.trustedProxies ?? false,
    logger: false,
    forceCloseConnections: 'idle',
    requestTimeout: 30_000,
  });
  if (app.config.publicUrl.startsWith('https:')) server.decorate('reachedOverTls', true);
  if (onRoute) server.addHook('onRoute', onRoute);
  gracefulClose(server, { isDraining: () => app.ops.health.isDraining() });
  server.setErrorHandler((error, request, reply) => answerError(error, request, reply, app.log));
  server.setNotFoundHandler((request, reply) => answerError(new Refusal('not_found', 404), request, reply, app.log));
  await securityHeaders(server, app.config);
  if (limits) limitRequests(server, limits);
  await documentation(server, app);
  await server.register(api(app), { prefix: '/api/v1' });
  await server.register(app.ops.http, { prefix: '/api/v1/admin' });
  await server.register(probes, {
    health: app.ops.health,
    metrics: app.metrics,
    needs: ['database'],
    guarded: true,
    allowedNetworks: app.config.metricsAllowedNetworks,
    allowedHosts: app.config.metricsAllowedHosts ?? [],
  });
  server.get('/', frontPage(app.version, pages));
  server.get('/confirm', confirmPage);
  server.get('/erase', erasePage);
  server.get('/verify-email', verifyEmailPage);
  server.get('/reset-password', resetPasswordPage);
  await extend?.(server);
  await server.ready();
  return server;
}

/** Every route of the API; each feature brings its own. */
function api(app: App) {
  return async (server: FastifyInstance): Promise<void> => {
    server.setValidatorCompiler(validatorCompiler);
    server.setSerializerCompiler(compileSerializer);
    jsonBody(server);
    web(server, { ...app.ops, now: app.now });
    server.get('/openapi.json', { config: { access: 'public' }, schema: { hide: true } }, async (_request, reply) =>
      reply.serializer(JSON.stringify).send(server.swagger()),
    );
    authRoutes(server, app.authDeps);
    accountRoutes(server, app.accountDeps);
    publicLeadRoutes(server, app.leadDeps);
    adminLeadRoutes(server, app.leadDeps);
    subscriptionRoutes(server, app.subscriptionDeps);
    billingRoutes(server, app.billingDeps);
    paymentWebhookRoute(server, app.billingDeps);
    distributionRoutes(server, app.distributionRouteDeps);
    inboxRoutes(server, app.inboxDeps);
    emailRoutes(server, app.emailRouteDeps);
    reportRoutes(server, app.reportDeps);
    exportRoutes(server, app.reportDeps);
    badLeadRoutes(server, app.badLeadDeps);
  };
}

async function documentation(server: FastifyInstance, { version }: App): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Find Me a Hot Lead', version, description: 'The lead marketplace and its operations plane.' },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
    },
    transform: describeRoute,
  });
  await server.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { validatorUrl: null },
    staticCSP: true,
    transformStaticCSP: stricter,
  });
}

/** Swagger UI's own policy names others to load from, may be framed, and would move every link of a plain-http start to TLS. */
function stricter(policy: string): string {
  return policy
    .replace(/upgrade-insecure-requests;?|validator\.swagger\.io| https:/g, '')
    .replace(/(frame-ancestors|base-uri) 'self'/g, "$1 'none'");
}

/**
 * A serializer built once per schema: four times as fast as parsing each answer, and it strips unknown fields just so. Built at the first
 * answer, in 1 ms: for all schemas at the start it was a quarter of a second, most of it for answers that no run ever gives.
 */
export const compileSerializer: FastifySerializerCompiler<z.ZodType> = ({ schema }) => {
  let serialize: ((answer: unknown) => string) | undefined;
  const build = () => {
    const json = z.toJSONSchema(schema, { target: 'draft-7', io: 'output', unrepresentable: 'any' });
    return fastJsonStringify(json as fastJsonStringify.AnySchema);
  };
  return (answer) => (serialize ??= build())(answer);
};
