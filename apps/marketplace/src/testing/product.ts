import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { inject } from 'vitest';
import { type App, openApp } from '../app.ts';
import { readConfig } from '../config.ts';
import { buildHttp } from '../http.ts';
import { openOperationTable, type OperationRow } from '../operation-table.ts';
import { openTestWorld, type TestWorld } from './world.ts';

/** The product as the role api serves it, on a database and a Redis database of its own, to be called by `inject`. */
export interface TestProduct {
  readonly world: TestWorld;
  readonly app: App;
  readonly server: FastifyInstance;
  /** Every operation of the API. */
  readonly operations: readonly Operation[];
  /** Log lines of the product, oldest first. */
  readonly lines: string[];
  call(request: InjectOptions): Promise<LightMyRequestResponse>;
  close(): Promise<void>;
}

/** A row of the table that is an operation, and no page. */
export type Operation = OperationRow & { readonly access: NonNullable<OperationRow['access']> };

export interface TestProductOptions {
  /** Keeps the files that use a product apart: each names another. */
  readonly redisDatabase: number;
  /** Another way to the database at `url` for the product, which the world does not take. */
  readonly reach?: (url: string) => Promise<string>;
  readonly settings?: Readonly<Record<string, string>>;
}

export async function openTestProduct(options: TestProductOptions): Promise<TestProduct> {
  const { redisDatabase, reach = async (url) => url, settings = {} } = options;
  const world = await openTestWorld();
  const lines: string[] = [];
  const servers = { databaseUrl: await reach(world.url), redisUrl: `${inject('redisUrl')}?db=${redisDatabase}` };
  const config = {
    ...readConfig({ LOG_LEVEL: 'debug', ...settings }),
    ...servers,
    smtpUrl: 'smtp://127.0.0.1:1',
    tokenKey: '5e'.repeat(32),
  };
  const app = openApp(config, { role: 'api', logTo: { write: (line) => void lines.push(line) } });
  const { rows, note } = openOperationTable();
  const server = await buildHttp(app, { onRoute: note });
  return {
    world,
    app,
    server,
    operations: rows.filter((row): row is Operation => row.access !== undefined),
    lines,
    call: (request) => server.inject(request),
    async close() {
      await server.close();
      await app.close();
      await world.close();
    },
  };
}
