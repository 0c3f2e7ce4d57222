import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectRedis, type Runnable, sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type App, openApp } from './app.ts';
import { readConfig } from './config.ts';
import { actingAs, type DatabaseRole, grantRoles } from './database-roles.ts';
import { type EmbeddedRedis, type Mailbox, startMailbox, startRedis } from './embedded/index.ts';
import { buildHttp } from './http.ts';
import { relayRole } from './roles/relay.ts';
import { schedulerRole } from './roles/scheduler.ts';
import { workerRole } from './roles/worker.ts';
import { type DemoSignIn, seedDemoWorld } from './simulator/demo-world.ts';
import { signInAs } from './testing/auth.ts';
import { present } from './testing/nth.ts';
import { openTestWorld, type TestWorld } from './testing/world.ts';

const directory = mkdtempSync(join(tmpdir(), 'fmhl-acl-'));
const password = 'known to this test';
const closers: (() => unknown)[] = [];
const lines: string[] = [];
let world: TestWorld;
let redis: EmbeddedRedis;
let redisUrl: string;
let mailbox: Mailbox;
let port: number;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: free } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return free;
}

/** The file as it is shipped, with a password in place of the hash that nothing has. The first line, which ends the rest, comes last. */
async function loadUsers(): Promise<void> {
  const admin = connectRedis({ url: redis.url });
  const hash = createHash('sha256').update(password).digest('hex');
  const file = readFileSync(new URL('../../../infra/redis/users.acl', import.meta.url), 'utf8');
  const users = file
    .trim()
    .replaceAll(/#0{64}/g, `#${hash}`)
    .split('\n');
  for (const user of users.toReversed()) await admin.call('acl', 'setuser', ...user.split(' ').slice(1));
  admin.disconnect();
}

beforeAll(async () => {
  world = await openTestWorld();
  await grantRoles(world.url);
  port = await freePort();
  redis = await startRedis({ dataDir: join(directory, 'redis'), durable: false, port });
  await loadUsers();
  redisUrl = `redis://fmhl:${encodeURIComponent(password)}@127.0.0.1:${port}`;
  mailbox = await startMailbox();
});
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
  await mailbox.stop();
  await redis.stop();
  await world.close();
  rmSync(directory, { recursive: true, force: true });
});

function openAs(name: string, role: DatabaseRole): App {
  const config = readConfig({
    TOKEN_KEY: '5e'.repeat(32),
    RECONCILE_EVERY_MS: '200',
    RECONCILE_AFTER_MS: '200',
    PROBE_EVERY_MS: '0',
    EXPORT_DIR: join(directory, 'exports'),
  });
  const servers = { databaseUrl: actingAs(world.url, role), redisUrl, smtpUrl: mailbox.smtpUrl };
  const logTo = { write: (line: string) => void lines.push(line) };
  const app = openApp({ ...config, ...servers, tokenKey: config.tokenKey ?? '' }, { role: name, logTo });
  closers.push(() => app.close());
  return app;
}

describe('the product under least privilege', () => {
  let server: FastifyInstance;
  let parts: Runnable[];
  let demo: DemoSignIn | undefined;

  beforeAll(async () => {
    demo = await seedDemoWorld(openAs('all', 'fmhl_app'));
    const api = openAs('api', 'fmhl_api');
    parts = [
      workerRole(openAs('worker', 'fmhl_worker')),
      relayRole(openAs('relay', 'fmhl_relay')),
      schedulerRole(openAs('scheduler', 'fmhl_scheduler')),
    ];
    for (const part of parts) await part.start();
    server = await buildHttp(api, { limits: api.requestLimits() });
  });
  afterAll(async () => {
    await server.close();
    for (const part of parts.toReversed()) await part.stop();
  });

  it('sells what is approved and sends every mail', async () => {
    await vi.waitFor(
      async () => {
        const { rows } = await world.db.query(
          sql`select distinct state from ops.job_run where queue in ('distribute_lead', 'email_send')`,
        );
        expect(new Set(rows.map(({ state }) => state))).toEqual(new Set(['done']));
      },
      { timeout: 20_000, interval: 200 },
    );
    const { rows } = await world.db.query(sql`select count(*)::int as sold from assignment`);
    expect(rows[0]?.sold).toBeGreaterThan(0);
    expect(mailbox.list().length).toBeGreaterThan(0);
  });

  it('runs every schedule, each with its counts and one audit row', async () => {
    const admin = await signInAs(world.db);
    const listed = await server.inject({ url: '/api/v1/admin/schedules', headers: admin.headers });
    const names = (listed.json().schedules as { name: string }[]).map(({ name }) => name);
    expect(names).toEqual([
      'subscription-reactivation',
      'balance-reconciliation',
      'dlq-cleanup',
      'retention',
      'invariants',
    ]);
    for (const name of names) {
      const headers = { ...admin.headers, 'idempotency-key': `least-privilege-${name}` };
      const payload = { reason: 'to see that the worker may' };
      await vi.waitFor(async () => {
        const url = `/api/v1/admin/schedules/${name}/run`;
        expect((await server.inject({ method: 'POST', url, payload, headers })).statusCode).toBe(202);
      });
    }
    const ended = async () => {
      const { rows } = await world.db.query(sql`
        select r.schedule, r.state, (select count(*)::int from ops.audit_log a where a.details ->> 'run_id' = r.id::text) as audited
        from ops.schedule_run r where r.origin = 'manual' order by array_position(${names}::text[], r.schedule)`);
      expect(rows).toEqual(names.map((schedule) => ({ schedule, state: 'done', audited: 2 })));
    };
    await vi.waitFor(ended, { timeout: 20_000, interval: 200 });
  });

  it('asks every invariant, as a worker and for who asks over HTTP, and finds them to hold', async () => {
    const { rows } = await world.db.query<{ unsound: string[] }>(sql`
      select array(select p ->> 'name' || ' ' || (p ->> 'state') from jsonb_array_elements(probes) p where p ->> 'state' <> 'ok') as unsound
      from ops.invariant_run`);
    // This Redis keeps nothing on disk.
    expect(rows).toEqual([{ unsound: ['P3 breached'] }]);
    const admin = await signInAs(world.db);
    const { probes } = (await server.inject({ url: '/api/v1/admin/doctor?full=true', headers: admin.headers })).json();
    const unsound = (probes as { name: string; state: string }[]).filter(({ state }) => state !== 'ok');
    expect(unsound.map(({ name, state }) => `${name} ${state}`)).toEqual(['P3 breached']);
  });

  it('counts every report, and writes an export that its requester is told of and downloads', async () => {
    const { headers } = await signInAs(world.db);
    const names = ['kpis', 'funnel', 'revenue', 'coverage', 'starvation', 'providers', 'sources', 'bad-leads'];
    for (const name of names) {
      const answer = await server.inject({ url: `/api/v1/admin/reports/${name}`, headers });
      expect([name, answer.statusCode]).toEqual([name, 200]);
    }
    const payload = { type: 'leads', from: '2020-01-01', to: new Date().toISOString() };
    const asked = await server.inject({ method: 'POST', url: '/api/v1/admin/reports/export', payload, headers });
    expect(asked.statusCode).toBe(202);
    const url = `/api/v1/admin/reports/exports/${String(asked.json().id)}`;
    const view = await vi.waitFor(
      async () => {
        const { body, json } = await server.inject({ url, headers });
        expect(body).toContain('"completed"');
        return json();
      },
      { timeout: 20_000, interval: 200 },
    );
    const file = await server.inject({ url: `${url}/download`, headers });
    expect(file.headers['content-length']).toBe(String(view.bytes));
    expect(createHash('sha256').update(file.rawPayload).digest('hex')).toBe(view.sha256);
    await vi.waitFor(
      () => expect(mailbox.list().map(({ subject }) => subject)).toContain('Your export is ready: leads'),
      {
        timeout: 20_000,
      },
    );
  });

  it('answers people: sign-in, portal and staff', async () => {
    const signIn = { email: demo?.email, password: demo?.password };
    const answer = await server.inject({ method: 'POST', url: '/api/v1/auth/login', payload: signIn });
    expect(answer.statusCode).toBe(200);
    const provider = { authorization: `Bearer ${answer.json().token}` };
    for (const path of ['me', 'inbox', 'balance', 'subscriptions']) {
      const read = await server.inject({ url: `/api/v1/provider/${path}`, headers: provider });
      expect([path, read.statusCode]).toEqual([path, 200]);
    }
    const admin = await signInAs(world.db);
    for (const path of ['queues', 'queues/dlq', 'leads', 'providers', 'niches', 'audit', 'audit/verify']) {
      const read = await server.inject({ url: `/api/v1/admin/${path}`, headers: admin.headers });
      expect([path, read.statusCode]).toEqual([path, 200]);
    }
    const niche = {
      slug: 'under-least-privilege',
      name: 'Least',
      form_schema: { fields: [] },
      consent_text: 'x'.repeat(30),
    };
    const headers = { ...admin.headers, 'idempotency-key': 'least-privilege-1' };
    const made = await server.inject({ method: 'POST', url: '/api/v1/admin/niches', payload: niche, headers });
    expect(made.statusCode).toBe(201);
    const { rows } = await world.db.query(sql`select id from provider order by id`);
    const credits = rows.map(({ id }, at) =>
      server.inject({
        method: 'POST',
        url: `/api/v1/admin/providers/${String(id)}/adjustments`,
        payload: { amount_cents: 5_000, memo: 'a test of rights' },
        headers: { ...admin.headers, 'idempotency-key': `least-privilege-${at + 2}` },
      }),
    );
    expect(new Set((await Promise.all(credits)).map(({ statusCode }) => statusCode))).toEqual(new Set([201]));
    const { rows: sold } = await world.db.query(sql`select id from assignment limit 1`);
    const refund = await server.inject({
      method: 'POST',
      url: `/api/v1/admin/assignments/${String(sold[0]?.id)}/refund`,
      payload: { memo: 'a test of rights' },
      headers: { ...admin.headers, 'idempotency-key': 'least-privilege-refund' },
    });
    expect(refund.statusCode).toBe(200);
  });

  it('lets the staff care for leads, providers and mails', async () => {
    const admin = await signInAs(world.db);
    const { rows } = await world.db.query<{ lead: string; provider: string; email: string; to: string }>(sql`
      select l.id as lead, p.id as provider, m.id as email, m.to_address as to
      from lead l, provider p join v_user u on u.id = p.user_id, email m
      where u.email = ${demo?.email} and l.status = 'distributed' and p.status = 'active' and m.status = 'sent' and m.related_type is distinct from 'lead' limit 1`);
    const { lead, provider, email, to } = present(rows[0]);
    await world.db.query(sql`insert into email_suppression (address, reason) values (lower(${to}), 'mailbox_refused')`);
    const signIn = { email: demo?.email, password: demo?.password };
    const signedIn = await server.inject({ method: 'POST', url: '/api/v1/auth/login', payload: signIn });
    const headers = { authorization: `Bearer ${signedIn.json().token}` };
    const asProvider = async () => (await server.inject({ url: '/api/v1/provider/me', headers })).statusCode;
    expect(await asProvider()).toBe(200);
    const memo = 'a test of rights';
    const acts: [string, object][] = [
      ['sources/rubbish/block', {}],
      ['sources/rubbish/unblock', {}],
      [`leads/${lead}/erase`, {}],
      [`providers/${provider}/suspend`, {}],
      [`providers/${provider}/reinstate`, {}],
      [`emails/${email}/resend`, { lift_suppression: true }],
    ];
    for (const [path, more] of acts) {
      const payload = { memo, ...more };
      const url = `/api/v1/admin/${path}`;
      const done = await server.inject({ method: 'POST', url, payload, headers: admin.headers });
      expect([path, done.statusCode]).toEqual([path, path.startsWith('emails') ? 201 : 200]);
    }
    const cards = [
      'sources',
      'emails',
      'email-templates',
      `leads/${lead}`,
      `leads/${lead}/explain`,
      `providers/${provider}`,
    ];
    for (const path of cards) {
      const read = await server.inject({ url: `/api/v1/admin/${path}`, headers: admin.headers });
      expect([path, read.statusCode]).toEqual([path, 200]);
    }
  });

  it('asks neither Postgres nor Redis for what it may not have', () => {
    const refused = lines.filter((line) => /permission denied|NOPERM|must be owner|rate_limits_in_memory/.test(line));
    expect(refused.map((line) => JSON.parse(line).metadata)).toEqual([]);
  });
});

describe('a user of Redis', () => {
  const open = (user: string) => {
    const url = `redis://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}`;
    const client = connectRedis({ url });
    closers.push(() => client.disconnect());
    return client;
  };

  it.each([
    ['flushall'],
    ['flushdb'],
    ['config', 'get', '*'],
    ['config', 'set', 'maxmemory-policy', 'allkeys-lru'],
    ['keys', '*'],
    ['scan', '0'],
    ['acl', 'list'],
    ['shutdown'],
    ['monitor'],
    ['client', 'list'],
    ['script', 'flush'],
    ['function', 'flush'],
    ['replicaof', 'no', 'one'],
    ['save'],
    ['module', 'list'],
    ['get', 'of-another-application'],
    ['set', 'of-another-application', '1'],
    ['eval', "return redis.call('flushall')", '0'],
    ['eval', "return redis.call('get', 'of-another-application')", '0'],
    ['publish', 'channel', 'x'],
  ])('fmhl may not %s %s', async (command, ...args) => {
    await expect(open('fmhl').call(command, ...args)).rejects.toThrow(/NOPERM|permissions|can't (access|run)/);
  });

  it('fmhl has its own keys, and the monitor none', async () => {
    const product = open('fmhl');
    await product.set('{fmhl}:test', 'here', 'PX', 1_000);
    expect(await product.get('{fmhl}:test')).toBe('here');
    const monitor = open('fmhl_monitor');
    expect(await monitor.info('memory')).toContain('maxmemory_policy:noeviction');
    await expect(monitor.get('{fmhl}:test')).rejects.toThrow('NOPERM');
  });

  it('default is nobody any more', async () => {
    const stranger = connectRedis({ url: `redis://127.0.0.1:${port}` });
    closers.push(() => stranger.disconnect());
    await expect(stranger.get('{fmhl}:test')).rejects.toThrow();
  });

  it('has no password that the file brings along', () => {
    const file = readFileSync(new URL('../../../infra/redis/users.acl', import.meta.url), 'utf8');
    expect(file).not.toMatch(/ >|nopass|#(?!0{64} )/);
  });
});
