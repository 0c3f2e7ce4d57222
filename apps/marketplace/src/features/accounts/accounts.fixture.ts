import { sql } from '@fmhl/ops';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { staff } from '../../access.ts';
import { makeUser, testKeys, type TestSignIn, type UserOverrides } from '../../testing/auth.ts';
import { type Authenticator, openAuthenticator } from '../../testing/authenticator.ts';
import { openTestServer } from '../../testing/http.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { authRoutes, openAuthorizer, openPasswords, openSession } from '../auth/index.ts';
import { relyingPartyOf } from '../second-factor/index.ts';
import { accountRoutes, authorizeToken, mailedToken, mailVerification } from './index.ts';

export const password = 'tangerine-lamp-42';
export const publicUrl = 'https://leads.example.com';

export interface Answer {
  readonly status: number;
  /** `code` of a refusal, `ok` otherwise. */
  readonly verdict: string;
  readonly body: Record<string, unknown>;
}

type Who = { headers: { authorization: string } } | undefined;
type Purpose = 'verify_email' | 'reset_password';

/** The routes of accounts and of sign-in, on a database and a clock of their own, beside two routes of the staff. */
export interface AccountStage {
  readonly world: TestWorld;
  readonly app: FastifyInstance;
  now(): Date;
  wait(minutes: number): void;
  /** A user with an open session. Staff have just shown their second factor, if `mfaAt` says nothing else. */
  signIn(user?: UserOverrides & { mfaAt?: Date | null }): Promise<TestSignIn>;
  ask(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, who?: Who, payload?: object): Promise<Answer>;
  /** The newest link that was mailed to an address, as its token. */
  mailedLink(email: string, purpose: Purpose): Promise<string>;
  /** Templates of the mails to an address, oldest first. */
  mailsTo(email: string): Promise<string[]>;
  /** Actions about a target, oldest first. */
  audited(targetId: string): Promise<string[]>;
  openAuthenticator(): Authenticator;
  /** How many providers of a user were told which way. */
  readonly providers: string[];
  close(): Promise<void>;
}

export async function openAccountStage(): Promise<AccountStage> {
  const world = await openTestWorld();
  let ahead = 0;
  const now = () => new Date(Date.now() + ahead);
  const providers: string[] = [];
  const app = await openServer(world, { now, providers });
  const { db } = world;
  return {
    world,
    app,
    providers,
    now,
    wait: (minutes) => void (ahead += minutes * 60_000),
    async signIn({ mfaAt, ...user } = {}) {
      const { role = 'admin' } = user;
      const { id, email } = await makeUser(db, user);
      const shownAt = mfaAt === undefined && role !== 'provider' ? now() : (mfaAt ?? undefined);
      const draft = { kind: 'full', ip: '192.0.2.7', userAgent: 'test', mfaAt: shownAt, now: now() } as const;
      const { token } = await db.transaction((tx) => openSession(tx, { id, role }, draft));
      return { userId: id, email, token, headers: { authorization: `Bearer ${token}` } };
    },
    async ask(method, url, who, payload) {
      const request: InjectOptions = { method, url, headers: who?.headers ?? {}, ...(payload && { payload }) };
      const { statusCode: status, body: text } = await app.inject(request);
      const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
      return { status, verdict: typeof body.code === 'string' ? body.code : 'ok', body };
    },
    async mailedLink(email, purpose) {
      const { rows } = await db.query<{ token_id: string }>(sql`
        select variables->>'token_id' as token_id from email
        where lower(to_address) = lower(${email}) and template = ${purpose} order by created_at desc limit 1`);
      return mailedToken(testKeys, rows[0]?.token_id ?? '', purpose);
    },
    async mailsTo(email) {
      const { rows } = await db.query<{ template: string }>(
        sql`select template from email where lower(to_address) = lower(${email}) order by created_at`,
      );
      return rows.map(({ template }) => template);
    },
    async audited(targetId) {
      const { rows } = await db.query<{ action: string }>(
        sql`select action from ops.audit_log where target_id = ${targetId} order by seq`,
      );
      return rows.map(({ action }) => action);
    },
    openAuthenticator: () => openAuthenticator({ origin: publicUrl, rpId: 'leads.example.com' }),
    async close() {
      await app.close();
      await world.close();
    },
  };
}

function openServer(world: TestWorld, { now, providers }: { now: () => Date; providers: string[] }) {
  const { db, log } = world;
  const told = (what: string) => async (_tx: unknown, userId: string) => void providers.push(`${what} ${userId}`);
  const deps = {
    db,
    log,
    now,
    keys: testKeys,
    passwords: openPasswords({ memoryKib: 64, passes: 1 }),
    relyingParty: relyingPartyOf(publicUrl),
    createProvider: async () => {},
    mailVerification,
    activateProvider: told('activate'),
    suspendProvider: told('suspend'),
    reinstateProvider: told('reinstate'),
  };
  const answer = async () => ({ done: true });
  return openTestServer(log, {
    routes: (server) => {
      authRoutes(server, deps);
      accountRoutes(server, deps);
      server.get('/staff', { config: { access: staff('lead.read') } }, answer);
      server.get('/staff/other', { config: { access: staff('money.read') } }, answer);
      server.get('/staff/fresh', { config: { access: staff('lead.read', 'fresh') } }, answer);
    },
    authorize: openAuthorizer({ db, now, publicUrl, authorizeToken: (token, at) => authorizeToken(db, token, at) }),
    now,
  });
}
