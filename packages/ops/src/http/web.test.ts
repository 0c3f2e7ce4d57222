import fastify, { type FastifyInstance } from 'fastify';
import { beforeEach, describe, expect, it } from 'vitest';
import { adoptCorrelation, createLogger, currentContext } from '../logging/index.ts';
import { createMetrics, type Metrics, opsCatalogue } from '../metrics/index.ts';
import { ofDatabase } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import { type Access, type Authorization, freshForMs, jsonBody, web } from './index.ts';

let lines: { event: string; correlation_id: string; metadata: Record<string, unknown> }[];
let metrics: Metrics;
let now: Date;

const authorizations: Record<string, Authorization> = {
  fresh: {
    actor: { id: 'ana', name: 'Ana', via: 'http' },
    permissions: new Set(['queue.read']),
    secondFactorAt: new Date(0),
  },
  none: { actor: { id: 'bob', name: 'Bob', via: 'http' }, permissions: new Set(['queue.read']) },
  powerless: { actor: { id: 'eve', name: 'Eve', via: 'http' }, permissions: new Set(), secondFactorAt: new Date(0) },
};

async function open(routes: (app: FastifyInstance) => void): Promise<FastifyInstance> {
  lines = [];
  now = new Date(0);
  metrics = createMetrics({ enabled: true, catalogue: opsCatalogue(), queues: [], version: 'test', commit: 'test' });
  const log = createLogger({
    level: 'info',
    format: 'json',
    service: 'test',
    version: 'test',
    instance: 'test',
    bootId: 'boot',
    sampleRate: 1,
    destination: { write: (line) => void lines.push(JSON.parse(line)) },
  });
  const app = fastify({ bodyLimit: 1_000 });
  jsonBody(app);
  web(app, {
    log,
    metrics,
    authorize: (request) => authorizations[String(request.headers.authorization)],
    now: () => now,
  });
  routes(app);
  await app.ready();
  return app;
}

const route =
  (access: Access, handler: () => unknown = () => ({ ok: true })) =>
  (app: FastifyInstance) => {
    app.post('/act', { config: { access } }, async () => handler());
  };
const staff: Access = { permission: 'queue.read', secondFactor: 'fresh' };

describe('access', () => {
  it.each<[string, Access, string, number, string | undefined]>([
    ['anybody to a public route', 'public', '', 200, undefined],
    ['nobody without a session', staff, '', 401, 'no_session'],
    ['nobody without the permission', staff, 'powerless', 403, 'missing_permission'],
    ['nobody without a second factor', staff, 'none', 403, 'mfa_required'],
    ['an actor with all of them', staff, 'fresh', 200, undefined],
    ['an actor without a second factor where none is asked', { permission: 'queue.read' }, 'none', 200, undefined],
  ])('admits %s', async (_who, access, authorization, status, code) => {
    const app = await open(route(access));
    const answer = await app.inject({ method: 'POST', url: '/act', headers: { authorization } });
    expect(answer.statusCode).toBe(status);
    expect(answer.json().code).toBe(code);
  });

  it('asks again for a second factor that is older than 15 minutes, and is checked before the body', async () => {
    const app = await open(route(staff));
    now = new Date(freshForMs + 1);
    const answer = await app.inject({
      method: 'POST',
      url: '/act',
      headers: { authorization: 'fresh', 'content-type': 'application/json' },
      payload: '{',
    });
    expect(answer.json()).toMatchObject({ error: 'Insufficient permissions', code: 'mfa_stale' });
  });

  it('stops the start of a route that names none', async () => {
    await expect(open((app) => void app.get('/open', async () => 'x'))).rejects.toThrow('names no access');
  });
});

describe('a correlation id', () => {
  const act = async (app: FastifyInstance, headers: Record<string, string>) =>
    app.inject({
      method: 'POST',
      url: '/act',
      headers: { 'content-type': 'application/json', ...headers },
      payload: '{"a":1}',
    });

  it('is made for a stranger, who cannot choose it; theirs is kept beside it', async () => {
    const app = await open(route('public', () => ({ id: currentContext()?.correlationId })));
    const answer = await act(app, { 'x-correlation-id': 'chosen-by-me' });
    expect(answer.json().id).toBe(answer.headers['x-correlation-id']);
    expect(answer.json().id).not.toBe('chosen-by-me');
    expect(lines[0]).toMatchObject({
      correlation_id: answer.json().id,
      metadata: { client_correlation_id: 'chosen-by-me' },
    });
  });

  it('is taken from an actor', async () => {
    const app = await open(route(staff, () => ({ id: currentContext()?.correlationId })));
    const answer = await act(app, { authorization: 'fresh', 'x-correlation-id': 'chosen-by-me' });
    expect([answer.json().id, answer.headers['x-correlation-id'], lines[0]?.correlation_id]).toEqual(
      Array(3).fill('chosen-by-me'),
    );
  });

  it('may give way to that of older work, to the end of the request', async () => {
    const app = await open(
      route('public', () => {
        adoptCorrelation('lead-0001');
        return {};
      }),
    );
    const answer = await act(app, {});
    expect(answer.headers['x-correlation-id']).toBe('lead-0001');
    expect(lines[0]).toMatchObject({ correlation_id: 'lead-0001', metadata: { request_id: expect.any(String) } });
  });

  it('does not bleed from one request into another that runs at the same time', async () => {
    const app = await open((server) => {
      server.post('/act', { config: { access: 'public' } }, async () => {
        const before = currentContext()?.correlationId;
        await new Promise((resolve) => setTimeout(resolve, 5));
        return { same: before === currentContext()?.correlationId, id: before };
      });
    });
    const answers = await Promise.all(Array.from({ length: 20 }, () => act(app, {})));
    expect(answers.every((answer) => answer.json().same)).toBe(true);
    expect(new Set(answers.map((answer) => answer.json().id)).size).toBe(20);
  });
});

describe('an answer to a fault', () => {
  let app: FastifyInstance;
  beforeEach(async () => {
    app = await open((server) => {
      server.post('/act', { config: { access: 'public' } }, async () => {
        throw refuse('version_changed', { version: 3 });
      });
      server.post('/boom', { config: { access: 'public' } }, async () => {
        throw new Error('select secret from /etc/passwd');
      });
      server.post('/away', { config: { access: 'public' } }, async () => {
        throw ofDatabase(Object.assign(new Error('x'), { code: 'ECONNREFUSED' }));
      });
    });
  });
  const send = (url: string, payload: string, type = 'application/json') =>
    app.inject({ method: 'POST', url, headers: { 'content-type': type }, payload });

  it.each([
    ['/act', '{}', 'application/json', 409, 'Conflict', 'version_changed'],
    ['/boom', '{}', 'application/json', 500, 'Internal error', 'internal'],
    ['/away', '{}', 'application/json', 503, 'Service unavailable', 'database_unavailable'],
    ['/none', '{}', 'application/json', 404, 'Not found', 'not_found'],
    ['/act', '{', 'application/json', 400, 'Bad request', 'validation_failed'],
    ['/act', '{"__proto__":{"a":1}}', 'application/json', 400, 'Bad request', 'validation_failed'],
    ['/act', `${'['.repeat(450)}${']'.repeat(450)}`, 'application/json', 400, 'Bad request', 'validation_failed'],
    ['/act', `"${'x'.repeat(2_000)}"`, 'application/json', 413, 'Payload too large', 'too_large'],
    ['/act', 'a=1', 'application/x-www-form-urlencoded', 415, 'Unsupported media type', 'media_type'],
    ['/act', '{}', 'text/plain', 415, 'Unsupported media type', 'media_type'],
  ])('of %s with %.12s as %s is %d %s, in one shape', async (url, payload, type, status, error, code) => {
    const answer = await send(url, payload, type);
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ error, code, correlation_id: answer.headers['x-correlation-id'] });
    expect(answer.body).not.toMatch(/secret|passwd|stack/);
  });

  it('is logged only when the fault is ours', async () => {
    await send('/act', '{}');
    expect(lines.some(({ event }) => event === 'http_error')).toBe(false);
    await send('/boom', '{}');
    expect(lines.filter(({ event }) => event === 'http_error')).toHaveLength(1);
  });

  it('counts in the histogram under the template of its route', async () => {
    await send('/act', '{}');
    await send('/nowhere/17', '{}');
    expect(metrics.value('http_request_duration_ms', { method: 'POST', route: '/act', status: '409' })).toBe(1);
    expect(metrics.value('http_request_duration_ms', { method: 'POST', route: 'unmatched', status: '404' })).toBe(1);
  });
});
