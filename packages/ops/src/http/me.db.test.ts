import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { z } from 'zod';
import { defineQueue } from '../queues/index.ts';
import { openTestPlane, type TestPlane } from '../testing/index.ts';
import { me } from './contract.ts';

const shownAt = new Date('2026-05-01T12:00:00Z');
const work = defineQueue({
  name: 'work',
  attempts: 1,
  backoffMs: [],
  kinds: { task: { schema: z.object({}), sideEffect: 'guarded' } },
});

let plane: TestPlane;
let app: FastifyInstance;
beforeAll(async () => {
  plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [work],
    environment: 'staging',
    authorize: ({ headers }) => ({
      actor: { id: '7f1c1f52-5f9e-4c2a-9d3e-0d4d1b6a2f10', name: 'Ana', via: 'http' },
      permissions: new Set(String(headers['x-may'] ?? 'queue.read dlq.read').split(' ')),
      secondFactorAt: headers['x-factor'] === 'none' ? undefined : shownAt,
    }),
  });
  app = fastify();
  await app.register(plane.http, { prefix: '/api/v1/admin' });
});
afterAll(async () => {
  await app?.close();
  await plane?.close();
});

const get = (path: string, headers: Record<string, string> = {}) =>
  app.inject({ url: `/api/v1/admin${path}`, headers });

describe('GET /me', () => {
  it('tells who asks, what they may do, until when their second factor is fresh, where they are, and the limits', async () => {
    expect(me.parse((await get('/me')).json())).toEqual({
      actor: { id: '7f1c1f52-5f9e-4c2a-9d3e-0d4d1b6a2f10', name: 'Ana', via: 'http' },
      permissions: ['dlq.read', 'queue.read'],
      mfa_fresh_until: '2026-05-01T12:15:00.000Z',
      environment: 'staging',
      limits: {
        list_rows: 200,
        paged_rows: 10_000,
        export_rows: 200_000,
        redrive_items: 1_000_000,
        mfa_fresh_s: 900,
      },
    });
  });

  it('names limits that hold', async () => {
    const { limits } = (await get('/me')).json();
    expect((await get(`/queues/dlq?limit=${limits.list_rows}`)).statusCode).toBe(200);
    expect((await get(`/queues/dlq?limit=${limits.list_rows + 1}`)).statusCode).toBe(400);
  });

  it('asks for a second factor, and for the least that everybody on the staff may', async () => {
    expect((await get('/me', { 'x-factor': 'none' })).json().code).toBe('mfa_required');
    expect((await get('/me', { 'x-may': 'portal.use' })).json().code).toBe('missing_permission');
  });
});
