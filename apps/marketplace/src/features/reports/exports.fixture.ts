import type { FastifyInstance } from 'fastify';
import { type Database, findBreaches, type Queryable, sql } from '@fmhl/ops';
import { makeFiles, runExport } from '../../testing/exports.ts';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { makeAssignments } from '../../testing/inbox.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import type { FileStore } from '../../file-store/index.ts';
import { exportRoutes, reportInvariants } from './index.ts';

export type Face = 'provider' | 'admin';

interface Asking {
  readonly user?: string;
  readonly method?: 'GET' | 'POST';
  readonly payload?: object;
}

export const range = { from: '2020-01-01', to: new Date(Date.now() + 3_600_000).toISOString() };

/** A funded provider who buys every lead of their niche. */
export async function openMarket(world: TestWorld) {
  const { db, make } = world;
  const niche = await make.niche();
  const level = await make.level({ nicheId: niche.id, priceCents: 1500 });
  const provider = await make.provider();
  await make.credit({ providerId: provider.id });
  await make.subscription({ providerId: provider.id, levelId: level.id });
  return {
    provider,
    /** Sells a lead of a person of this name, and answers its id. */
    async sell({ name }: { name?: string } = {}): Promise<string> {
      const { id } = await make.lead({ nicheId: niche.id });
      if (name) await db.query(sql`update lead set name = ${name} where id = ${id}`);
      await makeAssignments(db, id, world);
      return id;
    },
  };
}

export type ExportStage = Awaited<ReturnType<typeof openExportStage>>;
export type ExportScene = Awaited<ReturnType<ExportStage['scene']>>;

/** The routes of exports on a world and a directory of their own. */
export async function openExportStage() {
  const world = await openTestWorld();
  const storage = await makeFiles();
  const serve = (files: FileStore) => {
    const deps = { db: world.db, files, log: world.log, now: () => new Date() };
    return openTestServer(world.log, { routes: (server) => exportRoutes(server, deps) });
  };
  const app = await serve(storage.files);
  return {
    world,
    db: world.db,
    storage,
    serve,
    /** Somebody new to ask: a provider who buys, and a member of the staff. */
    scene: () => openScene({ world, storage, app }),
    async close() {
      await app.close();
      await world.close();
      await storage.remove();
    },
  };
}

interface Place {
  readonly world: TestWorld;
  readonly storage: Awaited<ReturnType<typeof makeFiles>>;
  readonly app: FastifyInstance;
}

async function openScene({ world, storage, app }: Place) {
  const { db } = world;
  const market = await openMarket(world);
  const admin = await world.make.user();
  const ask = async (face: Face, url: string, { user, method = 'GET', payload }: Asking = {}) => {
    const id = user ?? (face === 'admin' ? admin.id : market.provider.userId);
    const headers = signedInAs(id, face);
    const answer = await app.inject({ method, url: `/${face}/reports${url}`, headers, ...(payload && { payload }) });
    const isJson = String(answer.headers['content-type']).includes('json');
    return { status: answer.statusCode, headers: answer.headers, body: isJson ? answer.json() : answer.body };
  };
  const request = async (face: Face, type: string): Promise<string> => {
    const { status, body } = await ask(face, '/export', { method: 'POST', payload: { type, ...range } });
    if (status !== 202) throw new Error(`the export was refused: ${JSON.stringify(body)}`);
    return body.id as string;
  };
  const run = (id: string, given: Partial<Parameters<typeof runExport>[2]> = {}) =>
    runExport(db, id, { files: storage.files, log: world.log, ...given });
  return {
    ...market,
    admin,
    ask,
    request,
    run,
    /** Asks for an export and writes it. */
    async ready(face: Face, type: string): Promise<string> {
      const id = await request(face, type);
      const { kind } = await run(id);
      if (kind !== 'done') throw new Error(`the export ended as ${kind}`);
      return id;
    },
  };
}

/** What the audit log has of an export, oldest first. */
export async function auditsOf(db: Database, id: string): Promise<string[]> {
  const { rows } = await db.query<{ action: string }>(
    sql`select action from ops.audit_log where target_id = ${id} order by seq`,
  );
  return rows.map(({ action }) => action);
}

/** The names of the invariants of exports that do not hold. */
export async function brokenIn(queryable: Queryable): Promise<string[]> {
  const broken: string[] = [];
  for (const one of reportInvariants) {
    if ((await findBreaches(queryable, one)).rows.length > 0) broken.push(one.name);
  }
  return broken;
}
