import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { openDatabase, sql } from '@fmhl/ops';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Embedded, startEmbedded, startPostgres, startRedis, tokenKey } from './index.ts';

let prepared: string;
let parent: string;
let dataDir: string;

/** PostgreSQL's own user has to pass when the tests run as root. */
function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'fmhl-embedded-'));
  chmodSync(directory, 0o755);
  return directory;
}

beforeAll(async () => {
  prepared = temporaryDirectory();
  const postgres = await startPostgres({ dataDir: join(prepared, 'postgres'), durable: false });
  await postgres.stop();
});

afterAll(() => rmSync(prepared, { recursive: true, force: true }));

beforeEach(() => {
  parent = temporaryDirectory();
  dataDir = join(parent, '.fmhl');
  execFileSync('cp', ['-a', prepared, dataDir]);
});

afterEach(() => {
  const postgres = join(dataDir, 'postgres');
  if (existsSync(postgres)) rmSync(realpathSync(postgres), { recursive: true, force: true });
  rmSync(parent, { recursive: true, force: true });
});

async function start(): Promise<Embedded> {
  const embedded = await startEmbedded({ dataDir });
  onTestFinished(() => embedded.stop());
  return embedded;
}

/** Starts the servers in a process of its own and ends that process without a warning. */
async function startAndDie(): Promise<Embedded> {
  const script = `
    const { startEmbedded } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
    const embedded = await startEmbedded({ dataDir: process.argv[1] });
    process.send({ ...embedded, mailbox: undefined });
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, dataDir], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [embedded] = (await once(child, 'message')) as [Embedded];
  await remember(embedded);
  child.kill('SIGKILL');
  await once(child, 'exit');
  return embedded;
}

async function remember({ databaseUrl, redisUrl }: Embedded): Promise<void> {
  await ask(databaseUrl, sql`CREATE TABLE memory AS SELECT 'kept' AS word`);
  await askRedis(redisUrl, 'SET word kept');
}

async function memoryOf({ databaseUrl, redisUrl }: Embedded): Promise<unknown> {
  const [, word] = await askRedis(redisUrl, 'GET word');
  return { postgres: await ask(databaseUrl, sql`SELECT word FROM memory`), redis: word };
}

async function ask(url: string, statement: ReturnType<typeof sql>): Promise<object[]> {
  const database = openDatabase({ url, poolSize: 1 });
  try {
    return (await database.query(statement)).rows;
  } finally {
    await database.close();
  }
}

/** The lines of Redis's answer to one command. */
async function askRedis(path: string, command: string): Promise<string[]> {
  const socket = connect(path, () => socket.end(`${command}\r\n`));
  return (await text(socket)).split('\r\n');
}

const kept = { postgres: [{ word: 'kept' }], redis: 'kept' };

describe('the embedded servers', () => {
  it('keep their data over a restart', async () => {
    const first = await startEmbedded({ dataDir });
    await remember(first);
    await first.stop();
    expect(await memoryOf(await start())).toEqual(kept);
  });

  it('start again after their application was killed, on the same data', async () => {
    const killed = await startAndDie();
    expect(await memoryOf(killed)).toEqual(kept);
    expect(await memoryOf(await start())).toEqual(kept);
  });

  it('take Redis away and bring it back at the same place, with what it held', async () => {
    const embedded = await start();
    await remember(embedded);
    await embedded.switchRedis?.(false);
    await expect(askRedis(embedded.redisUrl, 'GET word')).rejects.toThrow();
    await embedded.switchRedis?.(true);
    expect(await memoryOf(embedded)).toEqual(kept);
  });

  it('refuse a second application on one data directory in one line, and take it once the first has ended', async () => {
    const first = await start();
    await expect(startEmbedded({ dataDir })).rejects.toThrow(
      `another fmhl (pid ${process.pid}) is using ${realpathSync(dataDir)}: stop it, or choose another --data-dir`,
    );
    await first.stop();
    await start();
  });

  it('are not started where an outside one is given', async () => {
    const given = {
      databaseUrl: 'postgres://elsewhere/db',
      redisUrl: 'redis://elsewhere',
      smtpUrl: 'smtp://elsewhere',
    };
    dataDir = join(parent, 'fresh');
    const embedded = await startEmbedded({ dataDir, ...given });
    await embedded.stop();
    expect(embedded).toMatchObject({ ...given, mailbox: undefined });
    expect(existsSync(join(dataDir, 'postgres'))).toBe(false);
  });

  it('leave no server behind when one of them fails', async () => {
    writeFileSync(join(dataDir, 'redis'), 'in the way');
    await expect(startEmbedded({ dataDir })).rejects.toThrow('EEXIST');
    expect(existsSync(join(dataDir, 'postgres/data/postmaster.pid'))).toBe(false);
  });

  it('name the setting when the data directory cannot be made', async () => {
    dataDir = join(parent, 'file');
    writeFileSync(dataDir, 'in the way');
    await expect(startEmbedded({ dataDir })).rejects.toThrow(/^DATA_DIR: expected a directory/);
  });

  it('work where the path is too long for a socket', async () => {
    dataDir = join(parent, 'a'.repeat(120));
    const first = await start();
    await remember(first);
    expect(await memoryOf(first)).toEqual(kept);
  });

  it.runIf(process.getuid?.() === 0)(
    'work for root where nobody else may pass, and begin anew once the directory is removed',
    async () => {
      dataDir = join(parent, 'fresh');
      chmodSync(parent, 0o700);
      const first = await startEmbedded({ dataDir });
      await remember(first);
      await first.stop();
      const home = realpathSync(join(dataDir, 'postgres'));
      expect(first.dataLives).toBe(`${realpathSync(dataDir)}, its database in ${home}`);
      const second = await startEmbedded({ dataDir });
      expect(await memoryOf(second)).toEqual(kept);
      await second.stop();
      rmSync(home, { recursive: true });
      rmSync(dataDir, { recursive: true });
      const third = await start();
      expect(await ask(third.databaseUrl, sql`SELECT to_regclass('memory') AS memory`)).toEqual([{ memory: null }]);
    },
  );
});

describe('the embedded PostgreSQL', () => {
  const quick = () => ({ dataDir: join(dataDir, 'postgres'), durable: false });

  it('starts again after it was killed itself', async () => {
    const first = await startPostgres(quick());
    await ask(first.url, sql`CREATE TABLE memory AS SELECT 'kept' AS word`);
    first.kill();
    const second = await startPostgres(quick());
    expect(await ask(second.url, sql`SELECT word FROM memory`)).toEqual(kept.postgres);
    await Promise.all([second.stop(), second.stop(), first.stop()]);
  });

  it('is not held up by a process that got the id of its predecessor', async () => {
    const first = await startPostgres(quick());
    const file = join(dataDir, 'postgres/data/postmaster.pid');
    const left = readFileSync(file, 'utf8').replace(/^\d+/, String(process.pid));
    await first.stop();
    writeFileSync(file, left);
    const second = await startPostgres(quick());
    await second.stop();
  });

  it('clears away a data directory that was never finished', async () => {
    const postgres = join(dataDir, 'postgres');
    rmSync(join(postgres, 'data'), { recursive: true });
    mkdirSync(join(postgres, 'data.half-killed/base'), { recursive: true });
    const server = await startPostgres(quick());
    await server.stop();
    expect(existsSync(join(postgres, 'data.half-killed'))).toBe(false);
  });

  it('says in its error what the server said', async () => {
    writeFileSync(join(dataDir, 'postgres/data/postgresql.conf'), 'nonsense = 1\n');
    await expect(startPostgres(quick())).rejects.toThrow('unrecognized configuration parameter "nonsense"');
  });
});

describe('the embedded Redis', () => {
  it('keeps every write and evicts nothing', async () => {
    const server = await startRedis({ dataDir: join(dataDir, 'redis') });
    onTestFinished(() => server.stop());
    const answer = await askRedis(server.url, 'CONFIG GET appendonly appendfsync maxmemory-policy save port');
    expect(Object.fromEntries(pairs(answer))).toEqual({
      appendonly: 'yes',
      appendfsync: 'everysec',
      'maxmemory-policy': 'noeviction',
      save: '',
      port: '0',
    });
  });
});

/** Of an answer that is a list: its length, then each string after its own length. */
function pairs([, ...lines]: readonly string[]): string[][] {
  const strings = lines.filter((_, at) => at % 2 === 1);
  return strings.flatMap((name, at) => (at % 2 === 0 ? [[name, strings[at + 1] ?? '']] : []));
}

describe('the token key', () => {
  it('is made once, readable by its owner only, and refused when it was damaged', () => {
    const key = tokenKey(dataDir);
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(tokenKey(dataDir)).toBe(key);
    expect(statSync(join(dataDir, 'token.key')).mode & 0o777).toBe(0o600);
    writeFileSync(join(dataDir, 'token.key'), 'short');
    expect(() => tokenKey(dataDir)).toThrow('TOKEN_KEY');
  });
});
