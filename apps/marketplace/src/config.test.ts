import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type Config,
  ConfigError,
  configReference,
  type Environment,
  type Flags,
  publicUrlWith,
  readConfig,
} from './config.ts';
import type { SettingName } from './settings.ts';

function faultsOf(env: Environment, flags: Flags = {}, require: SettingName[] = []): readonly string[] {
  try {
    readConfig(env, flags, { require });
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  }
  return [];
}

const directory = mkdtempSync(join(tmpdir(), 'fmhl-config-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('the configuration', () => {
  it('has a default for everything that does not come from outside', () => {
    expect(readConfig({})).toEqual({
      port: 3000,
      host: '127.0.0.1',
      publicUrl: 'http://127.0.0.1:3000',
      metricsEnabled: true,
      metricsPort: 9090,
      metricsHost: '127.0.0.1',
      metricsAllowedNetworks: ['127.0.0.0/8', '::1/128'],
      dataDir: '.fmhl',
      profile: 'demo',
      traffic: false,
      mailRetrySpeed: 1,
      empty: false,
      mailFrom: 'Find Me a Hot Lead <no-reply@fmhl.example.com>',
      logLevel: 'info',
      logFormat: 'json',
      depositMode: 'instant',
      subscriptionReactivationEnabled: true,
      balanceReconciliationEnabled: true,
      dlqCleanupEnabled: true,
      exportStorage: 'local',
      s3Region: 'us-east-1',
      requestsGlobal: 5_000,
      requestsPerAddress: 1_200,
      requestsPerAccount: 1_200,
      leadsPerAddress: 120,
      leadsPerEmail: 20,
      registrationsPerAddress: 10,
      registrationsPerEmail: 5,
      shutdownDrainMs: 0,
      workerConcurrency: 8,
      pgPoolSize: 10,
      jobLockMs: 30_000,
      reconcileAfterMs: 60_000,
      reconcileEveryMs: 60_000,
      probeEveryMs: 3_600_000,
      leaseMs: 15_000,
      nodeEnv: 'development',
    } satisfies Partial<Config>);
  });

  it('takes a flag before a variable, and an empty variable as not given', () => {
    const config = readConfig(
      { PORT: '4000', HOST: '', DATA_DIR: '/from/env' },
      { port: 5000, dataDir: '/from/flag', empty: true },
    );
    expect(config).toMatchObject({ port: 5000, host: '127.0.0.1', dataDir: '/from/flag', empty: true });
  });

  it('reports every fault at once, each in a line that names its setting and what it expects', () => {
    const env = {
      PORT: 'abc',
      LOG_LEVEL: 'loud',
      LOG_SAMPLE_RATE: '1.5',
      METRICS_ENABLED: 'maybe',
      PUBLIC_URL: 'leads',
      PG_POOL_SIZE: '0',
    };
    expect(faultsOf(env)).toEqual([
      'PORT: expected a number 0–65535, got "abc"',
      'PUBLIC_URL: expected an address like https://leads.example.com, got "leads"',
      'METRICS_ENABLED: expected true or false, got "maybe"',
      'LOG_LEVEL: expected one of debug, info, warn, error, got "loud"',
      'LOG_SAMPLE_RATE: expected a number 0–1, got "1.5"',
      'PG_POOL_SIZE: expected a number 1–1000, got "0"',
    ]);
  });

  it.each(['65536', '-1', '3000x', '1e3', ' 3000'])('refuses port %j', (port) => {
    expect(faultsOf({ PORT: port })).toHaveLength(1);
    expect(faultsOf({}, { port })).toEqual([`--port: expected a number 0–65535, got ${JSON.stringify(port)}`]);
  });

  it.each(['redis://127.0.0.1:6379/2', 'rediss://user:pass@cache:6380', '/run/redis.sock'])(
    'takes %s for Redis',
    (url) => {
      expect(readConfig({ REDIS_URL: url }).redisUrl).toBe(url);
    },
  );

  it.each([
    [{}, ['127.0.0.0/8', '::1/128']],
    [{ HOST: '0.0.0.0' }, ['127.0.0.0/8', '::1/128']],
    [{ PUBLIC_URL: 'http://localhost:8080' }, ['127.0.0.0/8', '::1/128']],
    [{ PUBLIC_URL: 'https://leads.example.com' }, []],
    [{ PUBLIC_URL: 'https://leads.example.com', METRICS_ALLOWED_NETWORKS: '10.1.0.0/16' }, ['10.1.0.0/16']],
  ])('with %o shows metrics to %o on the main listener', (env, networks) => {
    expect(readConfig(env).metricsAllowedNetworks).toEqual(networks);
  });

  it('names hosts without their port', () => {
    expect(readConfig({ METRICS_ALLOWED_HOSTS: 'fmhl, api.internal' }).metricsAllowedHosts).toEqual([
      'fmhl',
      'api.internal',
    ]);
    expect(faultsOf({ METRICS_ALLOWED_HOSTS: 'fmhl:3000' })).toHaveLength(1);
  });

  it.each(['10.0.0.0/33', '10.0.0/8', '::1/129', '10.0.0.0/8/8', 'home', '10.0.0.0/'])(
    'refuses the network %s',
    (network) => {
      expect(faultsOf({ METRICS_ALLOWED_NETWORKS: `127.0.0.1, ${network}` })).toHaveLength(1);
    },
  );

  it('never shows the value of a secret', () => {
    const faults = faultsOf({
      DATABASE_URL: 'mysql://me:hunter2@db/x',
      TOKEN_KEY: 'hunter2',
      FMHL_ADMIN_PASSWORD: 'hunter2',
      FMHL_ADMIN_EMAIL: 'a@example.com',
    });
    expect(faults).toHaveLength(3);
    expect(faults.join()).not.toContain('hunter2');
  });

  it('takes a secret from a file, without the line end after it', () => {
    const path = join(directory, 'key');
    writeFileSync(path, `${'ab'.repeat(32)}\n`);
    expect(readConfig({ TOKEN_KEY_FILE: path }).tokenKey).toBe('ab'.repeat(32));
    expect(readConfig({ TOKEN_KEY_FILE: path, TOKEN_KEY: '' }, {}, { require: ['tokenKey'] }).tokenKey).toBeDefined();
    expect(readConfig({ TOKEN_KEY_FILE: '', TOKEN_KEY: 'cd'.repeat(32) }).tokenKey).toBe('cd'.repeat(32));
    expect(readConfig({ PORT_FILE: path }).port).toBe(3000);
  });

  it('says in one line what is wrong with the file of a secret, and never what is in it', () => {
    const path = join(directory, 'faulty');
    writeFileSync(path, 'hunter2\n');
    const missing = join(directory, 'missing');
    const empty = join(directory, 'empty');
    writeFileSync(empty, '\n');
    const faults = faultsOf({
      TOKEN_KEY_FILE: path,
      DATABASE_URL_FILE: missing,
      PAYMENT_WEBHOOK_SECRET: 'given besides its file',
      PAYMENT_WEBHOOK_SECRET_FILE: path,
      FMHL_TOKEN_FILE: empty,
      REDIS_URL_FILE: directory,
    });
    expect(faults).toEqual([
      `DATABASE_URL_FILE: expected a file that can be read, got ENOENT of "${missing}"`,
      `REDIS_URL_FILE: expected a file that can be read, got EISDIR of "${directory}"`,
      'FMHL_TOKEN_FILE: expected a file with the secret, got an empty one',
      'TOKEN_KEY: expected at least 32 bytes in hex (64 digits), got something else',
      'PAYMENT_WEBHOOK_SECRET_FILE: expected none, as PAYMENT_WEBHOOK_SECRET is given',
    ]);
  });

  it('names what a command cannot do without', () => {
    expect(faultsOf({ REDIS_URL: 'redis://cache' }, {}, ['databaseUrl', 'redisUrl', 'tokenKey'])).toEqual([
      'DATABASE_URL: required by this command',
      'TOKEN_KEY: required by this command',
    ]);
  });

  const production = { NODE_ENV: 'production', DEPOSIT_MODE: 'gateway', AUDIT_ANCHOR: 'none' };

  it('asks for the bucket and its keys where exports are kept in S3', () => {
    const bucket = { S3_ENDPOINT: 'http://10.0.0.1:9000', S3_BUCKET: 'exports' };
    expect(faultsOf({ EXPORT_STORAGE: 's3', ...bucket })).toEqual([
      'S3_ACCESS_KEY_ID: required when EXPORT_STORAGE is s3',
      'S3_SECRET_ACCESS_KEY: required when EXPORT_STORAGE is s3',
    ]);
    expect(faultsOf({ EXPORT_STORAGE: 's3', ...bucket, S3_ACCESS_KEY_ID: 'a', S3_SECRET_ACCESS_KEY: 'b' })).toEqual([]);
    expect(faultsOf({ EXPORT_STORAGE: 'local' })).toEqual([]);
    expect(faultsOf({ EXPORT_STORAGE: 'ftp', S3_BUCKET: '../x' })).toHaveLength(2);
  });

  it('refuses settings that contradict each other', () => {
    expect(faultsOf({ ...production, FAILPOINT: 'distribute.before-commit' })).toHaveLength(1);
    expect(faultsOf({ ...production, TRAFFIC: 'true', MAIL_RETRY_SPEED: '60' })).toEqual([
      'TRAFFIC: expected false when NODE_ENV is production',
      'MAIL_RETRY_SPEED: expected 1 when NODE_ENV is production',
    ]);
    expect(faultsOf({ ...production, WORLD_PROFILE: 'S' })).toEqual([
      'WORLD_PROFILE: expected demo when NODE_ENV is production',
    ]);
    expect(faultsOf({ PORT: '9090' })).toEqual(['METRICS_PORT: expected another port than PORT, got 9090']);
    expect(faultsOf({ PORT: '9090', METRICS_ENABLED: 'false' })).toEqual([]);
    expect(faultsOf({ FMHL_ADMIN_PASSWORD: 'long enough' })).toHaveLength(1);
  });

  it('asks in production whether deposits are money for nothing', () => {
    expect(faultsOf({ ...production, DEPOSIT_MODE: '' })).toEqual([
      'DEPOSIT_MODE: expected gateway, or instant on purpose, when NODE_ENV is production',
    ]);
    for (const mode of ['gateway', 'instant']) expect(faultsOf({ ...production, DEPOSIT_MODE: mode })).toEqual([]);
  });

  it('asks in production where the head of the audit chain is kept', () => {
    expect(faultsOf({ ...production, AUDIT_ANCHOR: undefined })).toEqual([
      'AUDIT_ANCHOR: expected a path or an https address, or none on purpose, when NODE_ENV is production',
    ]);
    for (const place of ['none', '/mnt/elsewhere/anchor.jsonl', 'https://anchor.example.com/'])
      expect(faultsOf({ ...production, AUDIT_ANCHOR: place })).toEqual([]);
  });

  it('makes the public address one that a browser here can open', () => {
    expect(readConfig({ HOST: '0.0.0.0', PORT: '80' }).publicUrl).toBe('http://127.0.0.1:80');
    expect(readConfig({ HOST: '::' }).publicUrl).toBe('http://[::1]:3000');
    expect(readConfig({ PUBLIC_URL: 'https://leads.example.com/' }).publicUrl).toBe('https://leads.example.com');
  });

  it('makes the public address of any free port once it is known, unless one is given', () => {
    expect(publicUrlWith(readConfig({ PORT: '0' }), 41_234)).toBe('http://127.0.0.1:41234');
    const given = readConfig({ PORT: '0', PUBLIC_URL: 'https://leads.example.com' });
    expect(publicUrlWith(given, 41_234)).toBe('https://leads.example.com');
  });

  it('can be listed for a reference, each setting once and with a meaning', () => {
    const reference = configReference();
    expect(reference[0]).toEqual({
      name: 'PORT',
      flag: '--port',
      default: '3000',
      meaning: 'Port of the HTTP API and the console; 0 takes any free one.',
    });
    expect(new Set(reference.map(({ name }) => name)).size).toBe(reference.length);
    expect(reference.every(({ meaning }) => meaning.endsWith('.'))).toBe(true);
  });
});
