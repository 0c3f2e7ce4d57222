import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { acceptCorrelationId, type Logger, RunningContext } from '../logging/index.ts';
import type { Denials } from '../audit/index.ts';
import type { Metrics } from '../metrics/index.ts';
import { Refusal } from '../refusals/index.ts';
import { type Access, type Authorization, type Authorize, checkAccess } from './access.ts';
import { answerError, callerGone } from './problem.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call the route. */
    access?: Access;
  }
  interface FastifyRequest {
    /** Ids of this request, for logs and for what it causes. */
    running: RunningContext;
    /** Clock of `performance.now()` at its begin; undefined once it is recorded. */
    begunAt: number | undefined;
    /** Set on every route that is not public. */
    authorization: Authorization | undefined;
  }
}

export interface WebOptions {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly authorize: Authorize;
  readonly now?: () => Date;
  /** Keeps what callers who are known were refused. Default nobody does. */
  readonly denials?: Pick<Denials, 'record'>;
}

/** Requests slower than this are logged whatever the sampling says, in ms. */
const slowRequestMs = 1_000;

/**
 * What every HTTP face needs: correlation ids, access checks, the access log, the duration histogram and one shape of errors.
 * Applies to all routes registered after it in `app` and its children.
 */
export function web(app: FastifyInstance, options: WebOptions): void {
  const { authorize, now = () => new Date() } = options;
  app.decorateRequest('authorization', undefined);
  app.decorateRequest('running');
  app.decorateRequest('begunAt', undefined);
  app.addHook('onRoute', (route) => {
    if (route.config?.access === undefined)
      throw new TypeError(`route ${String(route.method)} ${route.url} names no access`);
  });
  app.addHook('onRequest', (request, reply, next) => {
    request.begunAt = performance.now();
    request.running = contextOf(request);
    reply.header('x-correlation-id', request.running.current.correlationId);
    request.running.run(next);
  });
  recordRequests(app, options);
  app.addHook('onRequest', async (request) => {
    const access = request.routeOptions.config.access ?? 'public';
    if (access === 'public') return;
    request.authorization = await authorize(request);
    const asked = acceptCorrelationId(request.headers['x-correlation-id']);
    if (asked && request.authorization)
      request.running = new RunningContext({ ...request.running.current, correlationId: asked });
    checkAccess(access, request.authorization, now());
  });
  // Parsing a body leaves the asynchronous context of the request; this hook, the next after it, enters it again.
  app.addHook('preValidation', (request, _reply, next) => request.running.run(next));
  app.addHook('onSend', async (request, reply) => {
    // A request that the host refused before it came here has none.
    const { running }: { running?: RunningContext } = request;
    if (running) reply.header('x-correlation-id', running.current.correlationId);
  });
  app.setErrorHandler((error, request, reply) => {
    recordDenial(error, request, options);
    return answerError(error, request, reply, options.log);
  });
  app.setNotFoundHandler((request, reply) => answerError(new Refusal('not_found', 404), request, reply, options.log));
}

/** A refusal of somebody who is known is a fact about them; one of a stranger is not. */
function recordDenial(error: unknown, request: FastifyRequest, { denials }: WebOptions): void {
  const { authorization, running, method, routeOptions } = request;
  if (!denials || !authorization || !(error instanceof Refusal) || error.status !== 403) return;
  const { access } = routeOptions.config;
  const permission = typeof access === 'object' ? access.permission : undefined;
  const route = `${method} ${routeOptions.url ?? 'unmatched'}`;
  running.run(() => denials.record({ actor: authorization.actor, route, code: error.code, permission }));
}

/** Callers without an identity cannot choose the id under which they are logged; theirs is kept beside it. */
function contextOf(request: FastifyRequest): RunningContext {
  const traceparent = request.headers.traceparent;
  return new RunningContext({
    correlationId: randomUUID(),
    ...(typeof traceparent === 'string' && { traceparent: traceparent.slice(0, 64) }),
  });
}

function recordRequests(app: FastifyInstance, { log, metrics }: WebOptions): void {
  const durations = metrics.histogram('http_request_duration_ms');
  const record = (request: FastifyRequest, status: number, bytes: number) => {
    if (request.begunAt === undefined) return;
    const route = request.routeOptions.url ?? 'unmatched';
    const durationMs = performance.now() - request.begunAt;
    request.begunAt = undefined;
    durations.labels({ method: request.method, route, status: String(status) }).observe(durationMs);
    if (status < 500 && /^\/(health|metrics)/.test(route)) return;
    const metadata = () => ({
      method: request.method,
      route,
      status,
      duration_ms: Math.round(durationMs),
      bytes,
      ...clientCorrelation(request),
    });
    request.running.run(() => {
      if (status < 400) log.sampled('http_request', metadata, { slow: durationMs > slowRequestMs });
      else log.info('http_request', metadata());
    });
  };
  // Fastify's own hook tells of a caller who hangs up before the body was read, and of no other.
  app.addHook('onRequest', (request, { raw }, next) => {
    raw.once('close', () => {
      if (!raw.writableFinished) record(request, callerGone, 0);
    });
    next();
  });
  app.addHook('onResponse', async (request, reply) => {
    record(request, reply.statusCode, Number(reply.getHeader('content-length') ?? 0));
  });
}

function clientCorrelation(request: FastifyRequest): { client_correlation_id?: string } {
  const asked = acceptCorrelationId(request.headers['x-correlation-id']);
  return asked && asked !== request.running.current.correlationId ? { client_correlation_id: asked } : {};
}
