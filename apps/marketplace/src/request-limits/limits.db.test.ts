import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { answerError, connectRedis } from '@fmhl/ops';
import fastify, { type FastifyInstance, type InjectOptions } from 'fastify';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { openKeys } from '../keys.ts';
import { openTestWorld } from '../testing/world.ts';
import { limitRequests } from './limit-requests.ts';
import { Limiter } from './limiter.ts';
import { quotasOf } from './quota.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

const none = {
  requestsGlobal: 0,
  requestsPerAddress: 0,
  requestsPerAccount: 0,
  leadsPerAddress: 0,
  leadsPerEmail: 0,
  registrationsPerAddress: 0,
  registrationsPerEmail: 0,
};
type Limits = typeof none;

interface Setup {
  limits?: Partial<Limits>;
  redisUrl?: string;
  trustProxy?: string[];
  prefix?: string;
}

async function openLimited({ limits = {}, redisUrl = inject('redisUrl'), trustProxy, prefix }: Setup = {}) {
  const world = await openTestWorld();
  closers.push(() => world.close());
  const redis = connectRedis({ url: redisUrl });
  const named = prefix ?? `{limits-${randomUUID()}}`;
  const limiter = new Limiter({ ...world, redis, keys: openKeys({ tokenKey: 'ab'.repeat(32) }), prefix: named });
  closers.push(() => limiter.close());
  const server = fastify(trustProxy ? { trustProxy } : {});
  server.setErrorHandler((error, request, reply) => answerError(error, request, reply, world.log));
  server.decorateRequest('authorization', undefined);
  limitRequests(server, { limiter, quotas: quotasOf({ ...none, ...limits }) });
  server.addHook('onRequest', async (request) => {
    const id = request.headers['x-user'];
    if (typeof id !== 'string') return;
    request.authorization = { actor: { id, name: 'x', via: 'http' }, permissions: new Set() };
  });
  server.get('/', async () => 'here');
  server.get('/health/live', async () => 'alive');
  server.post('/leads', { config: { limit: 'lead' } }, async () => 'taken');
  closers.push(() => server.close());
  return { server, world, redis, prefix: named };
}

async function codes(server: FastifyInstance, requests: readonly InjectOptions[]) {
  const statuses: number[] = [];
  for (const request of requests) statuses.push((await server.inject(request)).statusCode);
  return statuses;
}

const from = (remoteAddress: string, more: object = {}) => ({ url: '/', remoteAddress, ...more });
const times = <T>(count: number, make: (at: number) => T) => Array.from({ length: count }, (_, at) => make(at));

describe('the limit of an address', () => {
  it('answers 429 with the code and the time to come back, and leaves others alone', async () => {
    const { server, world } = await openLimited({ limits: { requestsPerAddress: 2 } });
    expect(
      await codes(
        server,
        times(3, () => from('192.0.2.1')),
      ),
    ).toEqual([200, 200, 429]);
    const answer = await server.inject(from('192.0.2.1'));
    expect(answer.json()).toMatchObject({ code: 'rate_limited', details: { limit: 'address' } });
    const seconds = Number(answer.headers['retry-after']);
    expect(seconds).toBeGreaterThan(50);
    expect(seconds).toBeLessThanOrEqual(60);
    expect(await codes(server, [from('192.0.2.2')])).toEqual([200]);
    expect(world.metrics.counts['requestsRefused.address']).toBe(2);
  });

  it('is one for all processes, and for all addresses of one IPv6 network', async () => {
    const { server, prefix } = await openLimited({ limits: { requestsPerAddress: 3 } });
    const other = await openLimited({ limits: { requestsPerAddress: 3 }, prefix });
    expect(await codes(server, [from('2001:db8::1'), from('2001:db8::2')])).toEqual([200, 200]);
    expect(await codes(other.server, [from('2001:db8::3'), from('2001:db8::4'), from('2001:db8:1::1')])).toEqual([
      200, 429, 200,
    ]);
  });

  it('cannot be escaped by a header, unless a proxy that is trusted sends it', async () => {
    const forged = (at: number) => from('192.0.2.1', { headers: { 'x-forwarded-for': `203.0.113.${at}` } });
    const open = await openLimited({ limits: { requestsPerAddress: 2 } });
    expect(await codes(open.server, times(3, forged))).toEqual([200, 200, 429]);
    const behind = await openLimited({ limits: { requestsPerAddress: 2 }, trustProxy: ['10.0.0.0/8'] });
    expect(await codes(behind.server, times(3, forged))).toEqual([200, 200, 429]);
    const proxied = (at: number) => from('10.0.0.1', { headers: { 'x-forwarded-for': `203.0.113.${at}` } });
    expect(await codes(behind.server, times(3, proxied))).toEqual([200, 200, 200]);
    // What the caller wrote before the proxy added the address it saw counts for nothing.
    const padded = (at: number) =>
      from('10.0.0.1', { headers: { 'x-forwarded-for': `198.51.100.${at}, 203.0.113.99` } });
    expect(await codes(behind.server, times(3, padded))).toEqual([200, 200, 429]);
  });

  it('does not use up what all together may, and the probes are beyond both', async () => {
    const { server } = await openLimited({ limits: { requestsPerAddress: 2, requestsGlobal: 3 } });
    await codes(
      server,
      times(20, () => from('192.0.2.1')),
    );
    const answers = await Promise.all(times(3, (at) => server.inject(from(`192.0.2.1${at}`))));
    expect(answers.some(({ statusCode }) => statusCode === 200)).toBe(true);
    expect(await codes(server, [from('192.0.2.1', { url: '/health/live' })])).toEqual([200]);
  });
});

describe('the limit of an account', () => {
  it('holds over all its addresses and for nobody else', async () => {
    const { server } = await openLimited({ limits: { requestsPerAccount: 2 } });
    const by = (user: string) => (at: number) => from(`192.0.2.${at}`, { headers: { 'x-user': user } });
    expect(await codes(server, times(3, by('ann')))).toEqual([200, 200, 429]);
    expect(await codes(server, times(2, by('bob')))).toEqual([200, 200]);
    expect(
      await codes(
        server,
        times(3, (at) => from(`192.0.2.${at}`)),
      ),
    ).toEqual([200, 200, 200]);
  });
});

describe('the limits of submissions', () => {
  const lead = (email: unknown, ip = '192.0.2.1') => ({
    ...from(ip, { payload: { email } }),
    method: 'POST' as const,
    url: '/leads',
  });

  it('hold for one mail address from everywhere, however it is written', async () => {
    const { server } = await openLimited({ limits: { leadsPerEmail: 2 } });
    const spellings = ['ann@example.com', 'Ann@Example.com', 'ANN@EXAMPLE.COM'];
    const requests = spellings.map((email, at) => lead(email, `192.0.2.${at}`));
    expect(await codes(server, requests)).toEqual([200, 200, 429]);
    expect(await codes(server, [lead('bob@example.com'), lead(7), lead(['ann@example.com'])])).toEqual([200, 200, 200]);
  });

  it('hold for one address whoever it submits for, and other requests do not count', async () => {
    const { server } = await openLimited({ limits: { leadsPerAddress: 2 } });
    await codes(
      server,
      times(5, () => from('192.0.2.1')),
    );
    expect(
      await codes(
        server,
        times(3, (at) => lead(`person-${at}@example.com`)),
      ),
    ).toEqual([200, 200, 429]);
  });
});

describe('what is counted', () => {
  it('holds no address in clear, and every key of it ends by itself', async () => {
    const { server, redis, prefix } = await openLimited({
      limits: { requestsPerAddress: 1, requestsGlobal: 9, leadsPerAddress: 5, leadsPerEmail: 5, requestsPerAccount: 5 },
    });
    const post = { ...from('192.0.2.77', { headers: { 'x-user': 'ann' } }), method: 'POST' as const, url: '/leads' };
    await codes(server, [{ ...post, payload: { email: 'ann@example.com' } }, post, post]);
    const keys = await redis.keys(`${prefix}:*`);
    expect(keys).toHaveLength(5);
    expect(keys.join()).not.toMatch(/192\.0\.2|ann|example/);
    const lives = await Promise.all(keys.map((key) => redis.pttl(key)));
    for (const life of lives) {
      expect(life).toBeGreaterThan(0);
      expect(life).toBeLessThanOrEqual(3_600_000);
    }
  });

  it('is nothing at all where every limit is off', async () => {
    const { server, redis, prefix } = await openLimited();
    expect(
      await codes(
        server,
        times(5, () => from('192.0.2.1')),
      ),
    ).toEqual([200, 200, 200, 200, 200]);
    expect(await redis.keys(`${prefix}:*`)).toEqual([]);
  });
});

describe('without Redis', () => {
  it('each process counts by itself, says so once, and requests go on', async () => {
    const { server, world } = await openLimited({
      limits: { requestsPerAddress: 3 },
      redisUrl: 'redis://127.0.0.1:1',
    });
    expect(
      await codes(
        server,
        times(4, () => from('192.0.2.1')),
      ),
    ).toEqual([200, 200, 200, 429]);
    const said = world.lines.map((line) => JSON.parse(line).event);
    expect(said.filter((event) => event === 'rate_limits_in_memory')).toHaveLength(1);
    expect(world.metrics.counts.rateLimitFallbacks).toBe(4);
  });

  it('that answers nothing, a request waits no longer than a moment, and the next ones not at all', async () => {
    const silent: Server = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    closers.push(() => silent.close());
    const { server } = await openLimited({
      limits: { requestsPerAddress: 100 },
      redisUrl: `redis://127.0.0.1:${port}`,
    });
    const began = performance.now();
    await codes(
      server,
      times(50, () => from('192.0.2.1')),
    );
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});
