import { randomUUID } from 'node:crypto';
import { connectRedis } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { authRoutes, openPasswords } from './features/auth/index.ts';
import { Limiter, limitRequests, quotasOf } from './request-limits/index.ts';
import { testKeys } from './testing/auth.ts';
import { openTestServer } from './testing/http.ts';
import { openTestWorld, type TestWorld } from './testing/world.ts';

const limits = {
  requestsGlobal: 0,
  requestsPerAddress: 0,
  requestsPerAccount: 0,
  leadsPerAddress: 0,
  leadsPerEmail: 0,
  registrationsPerAddress: 4,
  registrationsPerEmail: 2,
};
const password = 'tangerine-lamp-42';

let world: TestWorld;
let app: Awaited<ReturnType<typeof openTestServer>>;
let limiter: Limiter;
let hashed = 0;

beforeAll(async () => {
  world = await openTestWorld();
  const redis = connectRedis({ url: inject('redisUrl') });
  limiter = new Limiter({ ...world, redis, keys: testKeys, prefix: `{register-${randomUUID()}}` });
  const cheap = openPasswords({ memoryKib: 64, passes: 1 });
  const passwords: typeof cheap = {
    ...cheap,
    hash: (chosen) => {
      hashed += 1;
      return cheap.hash(chosen);
    },
  };
  const relyingParty = { id: 'leads.example.com', origin: 'https://leads.example.com' };
  const given = { keys: testKeys, relyingParty, createProvider: async () => {}, mailVerification: async () => {} };
  app = await openTestServer(world.log, {
    routes: (server) => {
      limitRequests(server, { limiter, quotas: quotasOf(limits) });
      authRoutes(server, { db: world.db, log: world.log, now: world.now, passwords, ...given });
    },
  });
});
afterAll(async () => {
  await app.close();
  limiter.close();
  await world.close();
});

async function register(remoteAddress: string, email: string) {
  const payload = { email, password, company: 'Ada Roofing' };
  const answer = await app.inject({ method: 'POST', url: '/auth/register', remoteAddress, payload });
  return [answer.statusCode, answer.json<{ details?: { limit?: string } }>().details?.limit];
}

describe('registrations', () => {
  it('from one address are refused beyond their limit before a password is hashed; others register, and it signs in', async () => {
    hashed = 0;
    const answers = [];
    for (let n = 0; n < 6; n += 1) answers.push(await register('192.0.2.1', `person-${n}@example.com`));
    const refused = [429, 'register_address'];
    expect(answers).toEqual([[201], [201], [201], [201], refused, refused].map(([status, limit]) => [status, limit]));
    expect(hashed).toBe(4);
    expect(await register('192.0.2.2', 'other@example.com')).toEqual([201, undefined]);
    const payload = { email: 'person-0@example.com', password };
    const login = await app.inject({ method: 'POST', url: '/auth/login', remoteAddress: '192.0.2.1', payload });
    expect(login.statusCode).toBe(200);
  });

  it('of one mail address are refused beyond theirs, from everywhere and however it is written', async () => {
    const spellings = ['ann@example.com', 'Ann@Example.com', ' ANN@example.com'];
    const answers = [];
    for (const [n, email] of spellings.entries()) answers.push(await register(`198.51.100.${n}`, email));
    expect(answers.map(([status]) => status)).toEqual([201, 201, 429]);
    expect(answers[2]?.[1]).toBe('register_email');
  });
});
