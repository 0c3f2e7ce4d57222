import type { Sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { staff } from '../access.ts';
import { testKeys } from './auth.ts';
import { openTestServer } from './http.ts';
import { openTestWorld, type TestWorld } from './world.ts';
import { totpCode } from '../features/second-factor/index.ts';
import { authRoutes, createUser, openAuthorizer, openPasswords, type Role } from '../features/auth/index.ts';

export const password = 'tangerine-lamp-42';

/** The routes of sign-in on a database and a clock of their own, beside two routes of the staff. */
export interface AuthStage {
  readonly world: TestWorld;
  readonly app: FastifyInstance;
  /** How many passwords were compared so far. */
  readonly compared: () => number;
  readonly now: () => Date;
  wait(minutes: number): void;
  addUser(email: string, role?: Role): Promise<string>;
  /** Asks; `from` is the address of the caller. */
  post(path: string, payload?: object, from?: { token?: string; ip?: string }): Promise<Answer>;
  get(path: string, token: string): Promise<Answer>;
  login(email: string, from?: { ip?: string }): Promise<Answer>;
  /** Turns the second factor of a user on. Time goes on by half a minute, so that the next code is a new one. */
  enrol(email: string): Promise<{ secret: string; token: string; recoveryCodes: string[] }>;
  /** The code of now, or of some steps from now. */
  code(secret: string, steps?: number): string;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  /** `code` of a refusal, `ok` otherwise. */
  readonly verdict: string;
  readonly body: Record<string, unknown>;
  readonly token: string;
  readonly headers: Record<string, unknown>;
}

export async function openAuthStage(): Promise<AuthStage> {
  const world = await openTestWorld();
  let at = new Date('2026-05-01T12:00:00Z');
  let compared = 0;
  const now = () => at;
  const wait = (minutes: number) => void (at = new Date(at.getTime() + minutes * 60_000));
  const cheap = openPasswords({ memoryKib: 64, passes: 1 });
  const passwords: typeof cheap = {
    hash: (chosen) => cheap.hash(chosen),
    matches: (...args) => {
      compared += 1;
      return cheap.matches(...args);
    },
  };
  const app = await openAuthServer(world, { passwords, now });
  const passwordHash = await cheap.hash(password);
  const ask = asking(app);
  const login: AuthStage['login'] = (email, from) => ask.post('/auth/login', { email, password }, from);
  const code: AuthStage['code'] = (secret, steps = 0) => totpCode(secret, new Date(at.getTime() + steps * 30_000));
  return {
    world,
    app,
    compared: () => compared,
    now,
    wait,
    ...ask,
    login,
    code,
    async addUser(email, role = 'admin') {
      const draft = { email, passwordHash, displayName: 'Ada Roofing', role, emailVerified: true };
      return (await world.db.transaction((tx) => createUser(tx, draft, world))) ?? '';
    },
    async enrol(email) {
      const { token } = await login(email);
      const secret = String((await ask.post('/auth/mfa/enroll', undefined, { token })).body.secret);
      const verified = await ask.post('/auth/mfa/verify', { code: code(secret) }, { token });
      wait(0.5);
      return { secret, token: verified.token, recoveryCodes: verified.body.recovery_codes as string[] };
    },
    async close() {
      await app.close();
      await world.close();
    },
  };
}

function openAuthServer(
  world: TestWorld,
  { passwords, now }: { passwords: ReturnType<typeof openPasswords>; now: () => Date },
): Promise<FastifyInstance> {
  const publicUrl = 'https://leads.example.com';
  const given = {
    keys: testKeys,
    createProvider: async () => {},
    mailVerification: async () => {},
    relyingParty: { id: 'leads.example.com', origin: publicUrl },
  };
  const authorizer = { db: world.db, now, publicUrl, authorizeToken: async () => undefined };
  const answer = async () => ({ done: true });
  const routes = async (server: FastifyInstance) => {
    authRoutes(server, { db: world.db, log: world.log, passwords, now, ...given });
    server.get('/staff', { config: { access: staff('lead.read') } }, answer);
    server.get('/staff/fresh', { config: { access: staff('money.write', 'fresh') } }, answer);
  };
  return openTestServer(world.log, {
    routes: (server) => void server.register(routes, { prefix }),
    authorize: openAuthorizer(authorizer),
    now,
  });
}

/** Where clients expect the routes. */
const prefix = '/api/v1';

function asking(app: FastifyInstance): Pick<AuthStage, 'post' | 'get'> {
  const read = ({ statusCode: status, body: text, headers }: Awaited<ReturnType<typeof app.inject>>): Answer => {
    const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> & { code?: string; token?: string };
    return { status, verdict: body.code ?? 'ok', body, token: body.token ?? '', headers };
  };
  const carrying = (token: string | undefined) => (token === undefined ? {} : { authorization: `Bearer ${token}` });
  return {
    async post(path, payload, { token, ip = '192.0.2.1' } = {}) {
      const request = { method: 'POST', url: `${prefix}${path}`, headers: carrying(token), remoteAddress: ip } as const;
      return read(await app.inject({ ...request, ...(payload && { payload }) }));
    },
    get: async (path, token) =>
      read(await app.inject({ method: 'GET', url: `${prefix}${path}`, headers: carrying(token) })),
  };
}

/** How many rows a statement answers. */
export async function count({ world }: AuthStage, statement: Sql): Promise<number> {
  return (await world.db.query(statement)).rows.length;
}
