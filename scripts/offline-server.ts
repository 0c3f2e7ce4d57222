import type { FastifyInstance } from 'fastify';
import { type App, openApp } from '../apps/marketplace/src/app.ts';
import { readConfig } from '../apps/marketplace/src/config.ts';
import { buildHttp, type HttpExtras } from '../apps/marketplace/src/http.ts';

/** Builds the product without Postgres and Redis, to be asked about itself: nothing connects before it is asked for data. */
export async function withApp<T>(use: (app: App) => T | Promise<T>): Promise<T> {
  const app = openApp(nowhere(), { role: 'api', logTo: { write() {} } });
  try {
    return await use(app);
  } finally {
    await app.close();
  }
}

/** The same with its HTTP server. */
export function withServer<T>(use: (server: FastifyInstance) => T, extras?: HttpExtras): Promise<T> {
  return withApp(async (app) => {
    const server = await buildHttp(app, extras);
    const answer = use(server);
    await server.close();
    return answer;
  });
}

function nowhere() {
  const config = readConfig({}, { databaseUrl: 'postgres://127.0.0.1:1/none', redisUrl: 'redis://127.0.0.1:1' });
  return {
    ...config,
    databaseUrl: config.databaseUrl ?? '',
    redisUrl: config.redisUrl ?? '',
    smtpUrl: 'smtp://127.0.0.1:1',
    tokenKey: '00',
  };
}
