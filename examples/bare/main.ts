/** A shop whose orders are shipped by a queue: everything a host writes to have the operations plane. */
import { randomUUID } from 'node:crypto';
import { type Authorize, type JobHandler, openDatabase, openOps, probes, runUntilSignal, sql, web } from '@fmhl/ops';
import { defineQueue, defineSchedule, done, enqueue, type PayloadOf, PermanentError, schedulerQueue } from '@fmhl/ops';
import fastify, { type FastifyInstance } from 'fastify';
import { z } from 'zod';

const text = z.string().min(1);
const environment = z.object({ DATABASE_URL: text, REDIS_URL: text, PORT: z.coerce.number(), ADMIN_TOKEN: text });
const settings = environment.parse(process.env);

const orders = defineQueue({
  name: 'orders',
  attempts: 5,
  backoffMs: [1_000, 10_000, 60_000],
  kinds: { ship: { schema: z.object({ order_id: z.uuid() }), sideEffect: 'guarded' } },
});

/** A host with users asks its sessions here. */
const authorize: Authorize = ({ headers }) => {
  if (headers.authorization !== `Bearer ${settings.ADMIN_TOKEN}`) return undefined;
  const actor = { id: 'operator', name: 'operator', via: 'http' } as const;
  return { actor, permissions: new Set(['queue.read', 'dlq.read', 'dlq.retry']), secondFactorAt: new Date() };
};

const db = openDatabase({ url: settings.DATABASE_URL });
const cleanup = defineSchedule({
  name: 'dlq-cleanup',
  cron: '0 0 * * 0',
  auditAction: 'dlq.retention_ran',
  run: ({ signal }) => ops.retainDeadLetters(signal),
});
const queues = [orders, schedulerQueue];
const ops = openOps({ db, redisUrl: settings.REDIS_URL, queues, schedules: [cleanup], authorize });
await ops.migrate();
await db.query(sql`create table if not exists orders (id uuid primary key, item text, shipped_at timestamptz)`);
await db.query(sql`create table if not exists boxes (item text primary key)`);

/** The order is shipped and the job is done in one commit: no crash comes between them. What has no box dies, and waits for an operator. */
const ship: JobHandler<PayloadOf<typeof orders, 'ship'>> = async (job) => {
  await job.commit(async (tx) => {
    const { rows } = await tx.query<{ item: string; fits: boolean }>(sql`
      update orders set shipped_at = now() where id = ${job.payload.order_id}
      returning item, item like 'a %' or item in (select item from boxes) as fits`);
    if (!rows[0]?.fits) throw new PermanentError(`there is no box for "${rows[0]?.item}"`);
  });
  return done;
};

const config = { access: 'public' } as const;
const newOrder = z.object({ item: z.string().regex(/^\P{Cc}{1,200}$/u) });
const schema = { body: z.toJSONSchema(newOrder, { target: 'draft-7' }) };

async function shop(app: FastifyInstance): Promise<void> {
  web(app, ops);
  app.post<{ Body: z.infer<typeof newOrder> }>('/orders', { config, schema }, async ({ body }, reply) => {
    const id = randomUUID();
    await db.transaction(async (tx) => {
      await tx.query(sql`insert into orders (id, item) values (${id}, ${body.item})`);
      await enqueue(tx, orders, 'ship', { order_id: id }, { key: `ship-${id}` });
    });
    return reply.code(201).send({ id });
  });
  app.post<{ Body: z.infer<typeof newOrder> }>('/boxes', { config, schema }, async ({ body }, reply) => {
    await db.query(sql`insert into boxes (item) values (${body.item}) on conflict do nothing`);
    return reply.code(201).send({});
  });
  app.get('/orders', { config }, async () => {
    return (await db.query(sql`select item, shipped_at is not null as shipped from orders order by item`)).rows;
  });
}

const app = fastify();
await app.register(shop);
await app.register(ops.http, { prefix: '/api/v1/admin' });
await app.register(probes, { health: ops.health, metrics: ops.metrics, guarded: true });
const http = {
  name: 'http',
  start: async () => {
    await app.listen({ port: settings.PORT });
    ops.health.markStarted();
    ops.log.info('process_started', { port: settings.PORT });
  },
  stop: () => app.close(),
};
const parts = [ops.relay(), ops.scheduler(), ops.worker({ orders: ship }), http];
await runUntilSignal(parts, { log: ops.log, onDraining: () => ops.health.markDraining() });
await ops.close();
await db.close();
