import type { Runnable } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { App } from '../app.ts';
import { buildHttp, type HttpExtras } from '../http.ts';
import { listen } from '../listen.ts';

/** The HTTP API. `port` is the one it took, once it has started. */
export function apiRole(app: App, extras?: HttpExtras): Runnable & { readonly port: number } {
  let server: FastifyInstance | undefined;
  let port = app.config.port;
  return {
    name: 'api',
    get port() {
      return port;
    },
    async start() {
      if (server) return;
      server = await buildHttp(app, { ...extras, limits: app.requestLimits() });
      port = await listen(server, { host: app.config.host, port: app.config.port, setting: 'PORT' });
    },
    async stop() {
      await server?.close();
      server = undefined;
    },
  };
}
