import type { Redis } from 'ioredis';

/** A fault as a person, a bug or a disaster might leave it: what makes it, and what takes it away again. */
export interface PlantedFault {
  readonly name: string;
  /** Part of the row that must be named. */
  readonly names: Readonly<Record<string, unknown>>;
  /** Probes that break with it, as they look at the same from another side. */
  readonly also?: readonly string[];
  readonly plant?: string;
  readonly undo?: string;
  readonly inRedis?: (redis: Redis, key: (name: string) => string) => Promise<unknown>;
  readonly undoInRedis?: (redis: Redis, key: (name: string) => string) => Promise<unknown>;
}

const run = (key: string, columns: Readonly<Record<string, string>> = {}) => {
  const all = {
    run_key: `'${key}'`,
    root_key: `'${key}'`,
    queue: `'letters'`,
    kind: `'send'`,
    max_attempts: '1',
    correlation_id: `'test'`,
    ...columns,
  };
  return `insert into ops.job_run (${Object.keys(all).join(', ')}) values (${Object.values(all).join(', ')});`;
};
const done = { state: `'done'`, finished_at: 'now()' };
const outbox = (key: string, columns = '') =>
  `insert into ops.job_outbox (run_key, queue, envelope, dispatched_at) values ('${key}', 'letters', '{}', ${columns || 'null'});`;
const gone = (...keys: string[]) =>
  keys
    .map(
      (key) => `delete from ops.job_outbox where run_key = '${key}'; delete from ops.job_run where run_key = '${key}';`,
    )
    .join('\n');

/** The letter that waits for a decision, and that whose retry succeeded. */
const pending = `(select id from ops.dead_letter_queue where state = 'pending' order by root_key limit 1)`;
const resolved = `(select id from ops.dead_letter_queue where resolution ->> 'how' = 'retried' limit 1)`;
const redrive = '00000000-0000-4000-8000-000000000001';

const jobs: readonly PlantedFault[] = [
  {
    name: 'J1',
    names: { queue: 'letters', run_key: 'lost-1', places: 0 },
    plant: run('lost-1') + outbox('lost-1', `now() - interval '1 hour'`),
    undo: gone('lost-1'),
  },
  {
    name: 'J2',
    names: { run_key: 'forgotten-1', lacks: 'no outbox row' },
    plant: run('forgotten-1'),
    undo: gone('forgotten-1'),
  },
  {
    name: 'J2',
    names: { run_key: 'ended-1', lacks: 'no open run' },
    plant: run('ended-1', done) + outbox('ended-1'),
    undo: gone('ended-1'),
  },
  {
    name: 'J3',
    names: { run_key: '12345' },
    plant: `alter domain ops.run_key drop constraint run_key_check; ${run('12345', done)}`,
    undo: `${gone('12345')} alter domain ops.run_key add constraint run_key_check
             check (length(value) between 1 and 200 and value !~ ':' and value !~ '^[0-9]+$');`,
  },
  {
    name: 'J4',
    names: { root_key: 'twice-1' },
    plant: run('twice-1', done) + run('twice-2', { ...done, root_key: `'twice-1'` }),
    undo: gone('twice-1', 'twice-2'),
  },
  {
    name: 'J5',
    names: { queue: 'letters', run_key: 'ghost-1' },
    inRedis: async (redis, key) => {
      const data = JSON.stringify({
        v: 1,
        run: 'ghost-1',
        root: 'ghost-1',
        meta: { correlation_id: 'test' },
        body: {},
      });
      await redis.hset(key('ghost-1'), 'data', data);
      await redis.zadd(key('delayed'), Date.now() * 2, 'ghost-1');
    },
    undoInRedis: async (redis, key) => {
      await redis.zrem(key('delayed'), 'ghost-1');
      await redis.del(key('ghost-1'));
    },
  },
  {
    name: 'J6',
    names: { run_key: 'crashed-1', started: 5 },
    plant: `alter table ops.job_run drop constraint job_run_check; ${run('crashed-1', { started: '5' })} ${outbox('crashed-1')}`,
    undo: `${gone('crashed-1')} alter table ops.job_run add constraint job_run_check check (started between finished and finished + 3);`,
  },
];

const letters: readonly PlantedFault[] = [
  {
    name: 'D1',
    names: { id: 'died-1', lacks: 'no letter' },
    plant: run('died-1', { state: `'dead'`, finished_at: 'now()', died_at: 'now()', cause: `'exhausted'` }),
    undo: gone('died-1'),
  },
  {
    name: 'D1',
    names: { lacks: 'no dead run' },
    plant: `update ops.dead_letter_queue set run_key = run_key || '-other' where id = ${pending};`,
    undo: `update ops.dead_letter_queue set run_key = replace(run_key, '-other', '');`,
  },
  {
    name: 'D2',
    names: { queue: 'letters', job_id: 'left-1' },
    also: ['D7'],
    inRedis: async (redis, key) => {
      await redis.hset(key('left-1'), 'data', '"nobody knows"', 'finishedOn', String(Date.now() - 3_600_000));
      await redis.zadd(key('failed'), Date.now() - 3_600_000, 'left-1');
    },
    undoInRedis: async (redis, key) => {
      await redis.zrem(key('failed'), 'left-1');
      await redis.del(key('left-1'));
    },
  },
  {
    name: 'D3',
    names: { generation: 0 },
    plant: `update ops.dead_letter_queue set state = 'retrying' where id = ${pending};`,
    undo: `update ops.dead_letter_queue set state = 'pending' where state = 'retrying';`,
  },
  {
    name: 'D4',
    names: { generation: 2, runs: 1 },
    also: ['D5'],
    plant: `update ops.dead_letter_queue set generation = 2 where id = ${resolved};`,
    undo: `update ops.dead_letter_queue set generation = 1 where generation = 2;`,
  },
  {
    name: 'D5',
    names: { state: 'resolved', run_state: null },
    plant: `update ops.dead_letter_queue set state = 'resolved', resolved_at = now(), resolution = '{"how": "retried"}', job_id = 'planted'
            where id = ${pending};`,
    undo: `update ops.dead_letter_queue set state = 'pending', resolved_at = null, resolution = null where job_id = 'planted';`,
  },
  {
    name: 'D6',
    names: { version: 2, acts: 0, verdicts: 0 },
    plant: `update ops.dead_letter_queue set version = 2, assignee = 'nobody' where id = ${pending};`,
    undo: `update ops.dead_letter_queue set version = 1, assignee = null where assignee = 'nobody';`,
  },
  {
    name: 'D7',
    names: { queue: 'letters', gap: 1 },
    plant: `insert into ops.job_death (queue, deaths) values ('letters', 1);`,
    undo: `insert into ops.job_death (queue, deaths) values ('letters', -1);`,
  },
  {
    name: 'D8',
    names: { redrive_id: redrive, fault: 'not as many items as planned' },
    plant: `insert into ops.redrive (id, name, action, state, options, included, created_by, created_by_name, correlation_id)
            values ('${redrive}', 'planted', 'retry', 'done', '{}', 2, 'test', 'test', 'test');`,
    undo: `delete from ops.redrive where id = '${redrive}';`,
  },
  {
    name: 'D8',
    names: { redrive_id: redrive, item: 1, fault: 'not sent once' },
    plant: `insert into ops.redrive (id, name, action, state, options, included, created_by, created_by_name, correlation_id)
            values ('${redrive}', 'planted', 'retry', 'done', '{}', 1, 'test', 'test', 'test');
            insert into ops.redrive_item (redrive_id, ord, letter_id, letter_version, outcome, generation, enqueued_at)
            values ('${redrive}', 1, ${pending}, 1, 'enqueued', 1, now());`,
    undo: `delete from ops.redrive where id = '${redrive}';`,
  },
  {
    name: 'D9',
    names: { version: 0 },
    plant: `update ops.dead_letter_payload set sha256 = sha256 || 'x' where letter_id = ${pending};`,
    undo: `update ops.dead_letter_payload set sha256 = rtrim(sha256, 'x');`,
  },
];

const platform: readonly PlantedFault[] = [
  {
    name: 'P1',
    names: { kind: 'edited' },
    plant: `alter table ops.audit_log disable trigger user; update ops.audit_log set actor_name = actor_name || '!' where seq = 1;`,
    undo: `update ops.audit_log set actor_name = rtrim(actor_name, '!') where seq = 1; alter table ops.audit_log enable trigger user;`,
  },
];

export const plantedFaults: readonly PlantedFault[] = [...jobs, ...letters, ...platform];
