import pg from 'pg';
import type { Sql } from 'sql-template-tag';

/** A statement: a `sql` template, or one with a name, which Postgres prepares once per connection. */
export type Statement = Sql | { readonly name: string; readonly text: string; readonly values: unknown[] };

/** Whatever can run one statement: the database (own commit) or a transaction. */
export interface Queryable {
  query<Row extends object = Record<string, unknown>>(statement: Statement): Promise<{ rows: Row[]; rowCount: number }>;
}

/** What may be waiting for rows of this process: `jobs` (`job_outbox`) or `events` (`event_outbox`). */
export type WakeTopic = 'jobs' | 'events';

/** An open transaction. It ends with the callback that received it: commit on return, rollback on throw. */
export interface Tx extends Queryable {
  /**
   * Sends a statement and does not wait for its answer, for rows that nothing in the transaction depends on. When it fails, so does the
   * transaction, with its error, whatever the callback did since.
   */
  send(statement: Statement): void;
  /** Runs `action` once the commit is acknowledged, never after a rollback. For counters and hints; it must not throw. */
  afterCommit(action: () => void): void;
  /** After the commit, hints to the loops of this process that rows wait. A lost hint costs one poll. */
  wake(topic: WakeTopic): void;
}

export interface TransactionOptions {
  /** Longest wait for one lock, in ms. Default: that of the pool. Failing gives SQLSTATE 55P03. */
  lockTimeoutMs?: number;
  /** Longest run of one statement, in ms. Default: that of the pool. Failing gives SQLSTATE 57014. */
  statementTimeoutMs?: number;
  /** Default `read committed`. */
  isolation?: 'read committed' | 'repeatable read';
  readOnly?: boolean;
}

/** A pool of connections to one Postgres. */
export interface Database extends Queryable {
  /** Where it connects to, as given; may hold a password. */
  readonly url: string;
  /**
   * Runs `work` in one transaction and returns what it returned.
   * Throws what `work` threw (after a rollback), or {@link AmbiguousCommit} when the connection was lost during COMMIT.
   */
  transaction<T>(work: (tx: Tx) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** Calls `listener` after each commit of this process that woke `topic`, and returns the function that ends it. */
  onWake(topic: WakeTopic, listener: () => void): () => void;
  /** Tells the listeners of this process that rows wait. For statements that commit on their own. */
  wake(topic: WakeTopic): void;
  /** Connections by state, for the gauge. */
  readonly connections: { active: number; idle: number; waiting: number };
  /** Waits for the queries under way, then closes every connection. Safe to call twice. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** `postgres://…`, also with `?host=/socket/dir`. */
  url: string;
  /** Most connections. Default 10. */
  poolSize?: number;
  /** Name shown in `pg_stat_activity`. Default `ops`. */
  applicationName?: string;
  /** Longest wait for a connection, in ms. Default 5,000. */
  connectTimeoutMs?: number;
  /** Longest run of a statement, in ms; 0 is none. Default 30,000. */
  statementTimeoutMs?: number;
  /** Longest wait for a lock, in ms. Default 10,000; failing gives SQLSTATE 55P03. */
  lockTimeoutMs?: number;
  /** Longest an open transaction may sit idle, in ms; keep it below the job lock. Default 20,000. */
  idleInTransactionTimeoutMs?: number;
  /** Told of every wait for a connection, in ms. */
  onPoolWait?: (ms: number) => void;
  /** Told of errors of idle connections (the server went away). The pool recovers by itself. */
  onError?: (error: Error) => void;
}

/** The connection was lost while COMMIT was under way: the transaction is whole or absent, and only a re-read tells. */
export class AmbiguousCommit extends Error {
  override name = 'AmbiguousCommit';
}

const int8 = 20;
const numeric = 1700;

/** Postgres sends bigint as text; cents and counters fit a safe integer, and what does not is an error, not a rounding. */
function parseSafeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} is not a safe integer`);
  return value;
}

const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (oid === int8 && format !== 'binary') return parseSafeInteger;
    if (oid === numeric && format !== 'binary') return Number;
    return format === 'binary' ? pg.types.getTypeParser(oid, 'binary') : pg.types.getTypeParser(oid, 'text');
  },
};

/** Opens a pool. Connects lazily: an unreachable server is an error of the first query. */
export function openDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolSize ?? 10,
    application_name: options.applicationName ?? 'ops',
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
    statement_timeout: options.statementTimeoutMs ?? 30_000,
    lock_timeout: options.lockTimeoutMs ?? 10_000,
    idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs ?? 20_000,
    keepAlive: true,
    // Statements of one transaction need not wait for the answer to the one before.
    pipeline: true,
    types,
  });
  pool.on('error', (error) => options.onError?.(error));
  // The pool listens to idle connections only: one that is lost between two statements of a transaction would end the process.
  pool.on('connect', (client) => client.on('error', (error) => options.onError?.(error)));
  return new PooledDatabase(pool, options);
}

class PooledDatabase implements Database {
  readonly url: string;
  readonly #pool: pg.Pool;
  readonly #onPoolWait: ((ms: number) => void) | undefined;
  readonly #listeners = new Map<WakeTopic, Set<() => void>>();
  #closing: Promise<void> | undefined;

  constructor(pool: pg.Pool, { url, onPoolWait }: DatabaseOptions) {
    this.url = url;
    this.#pool = pool;
    this.#onPoolWait = onPoolWait;
  }

  get connections() {
    const { totalCount, idleCount, waitingCount } = this.#pool;
    return { active: totalCount - idleCount, idle: idleCount, waiting: waitingCount };
  }

  async query<Row extends object>(statement: Statement) {
    const client = await this.#connect();
    try {
      const result = await run<Row>(client, statement);
      client.release();
      return result;
    } catch (error) {
      client.release(connectionIsGone(error));
      throw error;
    }
  }

  async transaction<T>(work: (tx: Tx) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const client = await this.#connect();
    const actions: (() => void)[] = [];
    const woken = new Set<WakeTopic>();
    const sent: Sent[] = [];
    let isOpen = true;
    const ask = <Row extends object>(statement: Statement) => {
      if (!isOpen) throw new Error('the transaction has ended: await all that is asked of it');
      return run<Row>(client, statement);
    };
    const tx: Tx = {
      query: async (statement) => ask(statement),
      send: (statement) => void sent.push(ask(statement).then(noFailure, asError)),
      afterCommit: (action) => actions.push(action),
      wake: (topic) => woken.add(topic),
    };
    let result: T;
    try {
      await begin(client, options);
      result = await work(tx);
      // Before the commit, so that it never stands without them, whatever they failed of.
      const failure = await firstFailure(sent);
      if (failure) throw failure;
    } catch (error) {
      isOpen = false;
      await rollback(client, error);
      throw (isOfDatabase(error) ? await firstFailure(sent) : undefined) ?? error;
    }
    isOpen = false;
    await commit(client);
    for (const action of actions) action();
    for (const topic of woken) this.wake(topic);
    return result;
  }

  onWake(topic: WakeTopic, listener: () => void) {
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  wake(topic: WakeTopic) {
    for (const listener of this.#listeners.get(topic) ?? []) listener();
  }

  close() {
    this.#closing ??= this.#pool.end();
    return this.#closing;
  }

  async #connect() {
    const startedAt = performance.now();
    try {
      const client = await this.#pool.connect();
      this.#onPoolWait?.(performance.now() - startedAt);
      return client;
    } catch (error) {
      throw ofDatabase(error);
    }
  }
}

async function run<Row extends object>(client: pg.PoolClient, statement: Statement) {
  try {
    const result = await client.query<Row & pg.QueryResultRow>(statement as pg.QueryConfig);
    return { rows: result.rows as Row[], rowCount: result.rowCount ?? 0 };
  } catch (error) {
    throw ofDatabase(error);
  }
}

/** A statement that nobody waited for: what it failed of, if it did. */
type Sent = Promise<Error | undefined>;
const noFailure = () => undefined;
const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)));

/** That of `sent` which failed first. What came after it was refused because of it. */
async function firstFailure(sent: readonly Sent[]): Promise<Error | undefined> {
  return (await Promise.all(sent)).find((failure) => failure !== undefined);
}

async function begin(client: pg.PoolClient, options: TransactionOptions) {
  try {
    await client.query(beginStatement(options));
  } catch (error) {
    throw ofDatabase(error);
  }
}

/** BEGIN and its settings in one message: each round trip of its own would cost a tenth of a short transaction. */
function beginStatement(options: TransactionOptions): string {
  const parts = ['begin'];
  if (options.isolation) parts.push(`isolation level ${options.isolation}`);
  if (options.readOnly) parts.push('read only');
  const settings = [];
  if (options.lockTimeoutMs !== undefined)
    settings.push(`set local lock_timeout = ${Math.trunc(options.lockTimeoutMs)}`);
  if (options.statementTimeoutMs !== undefined) {
    settings.push(`set local statement_timeout = ${Math.trunc(options.statementTimeoutMs)}`);
  }
  return [parts.join(' '), ...settings].join('; ');
}

async function rollback(client: pg.PoolClient, cause: unknown) {
  try {
    await client.query('rollback');
    client.release(connectionIsGone(cause));
  } catch {
    client.release(true);
  }
}

async function commit(client: pg.PoolClient) {
  let tag: string;
  try {
    ({ command: tag } = await client.query('commit'));
  } catch (error) {
    client.release(true);
    if (connectionIsGone(error)) throw new AmbiguousCommit('connection lost during COMMIT', { cause: error });
    throw ofDatabase(error);
  }
  client.release();
  // A transaction in which a statement failed answers COMMIT with ROLLBACK and no error.
  if (tag !== 'COMMIT') throw new Error('the transaction was rolled back: a statement in it had failed');
}

const databaseMark = Symbol('of the database');

/** Marks an error as one of our own database: a refused connection of a third party has the same code and is another matter. */
export function ofDatabase(error: unknown): unknown {
  if (error instanceof Error) Object.defineProperty(error, databaseMark, { value: true });
  return error;
}

/** True for errors that a {@link Database} threw. */
export function isOfDatabase(error: unknown): boolean {
  return error instanceof Error && databaseMark in error;
}

/** True when the server or the network ended the connection, so that it must not be used again. */
export function connectionIsGone(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string')
    return error instanceof Error && /connection terminated|client has encountered/i.test(error.message);
  return (
    /^(08|57P0[1-5])/.test(code) ||
    ['ECONNRESET', 'EPIPE', 'ECONNREFUSED', 'ENOENT', 'ETIMEDOUT', 'EHOSTUNREACH'].includes(code)
  );
}
