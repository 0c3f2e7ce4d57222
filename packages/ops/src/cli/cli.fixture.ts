import { PassThrough } from 'node:stream';
import { Command, CommanderError } from 'commander';
import fastify from 'fastify';
import { inject } from 'vitest';
import { z } from 'zod';
import { defineQueue, done, enqueue, type Job, PermanentError } from '../queues/index.ts';
import { type ScheduleDefinition, schedulerQueue } from '../schedules/index.ts';
import { openTestPlane, pollUntil, type TestPlane } from '../testing/index.ts';
import { sql } from '../postgres/index.ts';
import { localOperator, openLocalClient, operationsCommands, type OperationsEnvironment } from './index.ts';

const letters = defineQueue({
  name: 'letters',
  aliases: ['post'],
  attempts: 1,
  backoffMs: [],
  kinds: {
    send: { schema: z.object({ to: z.string(), n: z.int() }), sideEffect: 'guarded' },
  },
});
const archive = defineQueue({ name: 'archive', attempts: 1, backoffMs: [], kinds: letters.kinds });

export interface Ran {
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
}

/** The commands on a plane of their own, as a pipe sees them, or as a person at a terminal who gives `answer`. */
export async function openCli({ schedules = [] }: { schedules?: readonly ScheduleDefinition[] } = {}) {
  let operator = 'nobody';
  const health: { error: Error | undefined; gate: Promise<void> | undefined } = {
    error: new Error('SMTP timeout after 30 s'),
    gate: undefined,
  };
  const plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [letters, archive, ...(schedules.length > 0 ? [schedulerQueue] : [])],
    schedules,
    scheduleEveryMs: 50,
    authorize: ({ headers }) => (headers.authorization === 'Bearer stranger' ? undefined : localOperator(operator)()),
  });
  const client = openLocalClient({ http: plane.http });
  const handler = async (job: Job<{ n: number }>) => {
    if (health.error) throw new PermanentError(health.error.message);
    await health.gate;
    await job.commit(async () => {});
    return done;
  };
  await plane.run({ letters: handler, archive: handler });
  const run = async (words: string, { answer, environment = {} }: RunOptions = {}): Promise<Ran> => {
    const streams = streamsOf(answer);
    let code: number | undefined;
    const program = new Command('fmhl');
    operationsCommands(program, {
      streams,
      pollMs: 20,
      environment: () => environment,
      end: (given) => (code = given),
      openLocal: async (name) => {
        operator = name;
        return { ...(await client), close: async () => {} };
      },
    });
    await program.parseAsync(wordsOf(words), { from: 'user' }).catch((error: unknown) => {
      if (!(error instanceof CommanderError)) throw error;
    });
    return { code, out: String(streams.stdout.read() ?? ''), err: String(streams.stderr.read() ?? '') };
  };
  return { plane, run, health, ...watch(plane) };
}

function watch(plane: TestPlane) {
  const { db } = plane;
  return {
    /** Plans a job that dies, and answers the id of its letter. */
    async die(n: number, { to = 'ana@example.com' } = {}) {
      await db.transaction((tx) => enqueue(tx, letters, 'send', { to, n }, { key: `task-${n}` }));
      return pollUntil(async () => {
        const { rows } = await db.query<{ id: string }>(
          sql`select id from ops.dead_letter_queue where root_key = ${`task-${n}`}`,
        );
        return rows[0]?.id;
      });
    },
    /** The same over HTTP: the address of a listener, which ends with the test. */
    async listen() {
      const app = fastify();
      await app.register(plane.http, { prefix: '/api/v1/admin' });
      const url = await app.listen({ port: 0, host: '127.0.0.1' });
      await plane.start({ name: 'http', start: async () => {}, stop: () => app.close() });
      return url;
    },
    stateOf: async (id: string) =>
      (await db.query<{ state: string }>(sql`select state from ops.dead_letter_queue where id = ${id}::uuid`)).rows[0]
        ?.state,
    audited: async () =>
      (
        await db.query<{ action: string; actor_name: string; via: string; reason: string | null }>(
          sql`select action, actor_name, via, reason from ops.audit_log order by seq`,
        )
      ).rows,
  };
}

interface RunOptions {
  readonly answer?: string;
  readonly environment?: OperationsEnvironment;
}

function streamsOf(answer: string | undefined) {
  const stream = () =>
    Object.assign(new PassThrough({ highWaterMark: 2 ** 24 }), { isTTY: answer !== undefined, columns: 80 });
  const streams = { stdin: stream(), stdout: stream(), stderr: stream() };
  if (answer !== undefined) streams.stdin.write(`${answer}\n`);
  return streams;
}

/** Splits as a shell does: quotes keep a word together. */
function wordsOf(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}
