import type { FastifyPluginAsync } from 'fastify';
import { defaultPrefix, headersOf, type OperationsClient, type OperationsRequest, parsed, pathOf } from './client.ts';

export interface LocalClientOptions {
  /** `ops.http` of a plane whose `authorize` is {@link localOperator}. */
  readonly http: FastifyPluginAsync;
  /** Ends what was opened for the client. Default nothing. */
  readonly close?: () => Promise<void>;
}

/** The operations API in this process, without a port: the same routes, checks and audit rows as over HTTP. */
export async function openLocalClient({ http, close }: LocalClientOptions): Promise<OperationsClient> {
  // Loaded here, as a command that talks to a running application needs none of it.
  const { fastify } = await import('fastify');
  const app = fastify();
  await app.register(http, { prefix: defaultPrefix });
  await app.ready();
  const injected = (request: OperationsRequest) => ({
    method: request.method,
    url: pathOf(defaultPrefix, request),
    headers: headersOf(request),
    ...(request.body !== undefined && { payload: JSON.stringify(request.body) }),
  });
  return {
    async request(request) {
      const { statusCode, headers, payload } = await app.inject(injected(request));
      return { status: statusCode, headers: texts(headers), body: parsed(payload) };
    },
    async stream(request) {
      const answer = await app.inject({ ...injected(request), payloadAsStream: true });
      return { status: answer.statusCode, headers: texts(answer.headers), chunks: answer.stream() };
    },
    async close() {
      await app.close();
      await close?.();
    },
  };
}

function texts(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
