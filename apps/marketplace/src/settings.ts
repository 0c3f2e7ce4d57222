import { z } from 'zod';
import { requestLimitSettings } from './request-limit-settings.ts';
import {
  address,
  choice,
  flag,
  hosts,
  milliseconds,
  networks,
  port,
  redisAddress,
  type Setting,
  share,
  text,
  wholeNumber,
} from './setting-forms.ts';

/** Every setting of the application: what `readConfig` reads and the configuration reference shows, in its order. */
export const settings = {
  port: {
    env: 'PORT',
    flag: '--port',
    schema: port(),
    default: '3000',
    describe: 'Port of the HTTP API and the console; 0 takes any free one.',
  },
  host: {
    env: 'HOST',
    flag: '--host',
    schema: text('a host name or IP address'),
    default: '127.0.0.1',
    describe: 'Address the HTTP server listens on.',
  },
  publicUrl: {
    env: 'PUBLIC_URL',
    schema: address(['http:', 'https:'], 'https://leads.example.com').transform((url) => url.replace(/\/+$/, '')),
    defaultMeaning: 'http://HOST:PORT',
    describe: 'Where people reach the application; links in mails begin with it.',
  },
  metricsEnabled: {
    env: 'METRICS_ENABLED',
    schema: flag(),
    default: 'true',
    describe: 'Whether metrics are collected and served.',
  },
  subscriptionReactivationEnabled: {
    env: 'SUBSCRIPTION_REACTIVATION_ENABLED',
    schema: flag(),
    default: 'true',
    describe: 'Whether the schedule runs that wakes subscriptions whose balance pays again, every 5 minutes.',
  },
  balanceReconciliationEnabled: {
    env: 'BALANCE_RECONCILIATION_ENABLED',
    schema: flag(),
    default: 'true',
    describe: 'Whether the schedule runs that compares balances with their ledger, every night at 3.',
  },
  dlqCleanupEnabled: {
    env: 'DLQ_CLEANUP_ENABLED',
    schema: flag(),
    default: 'true',
    describe: 'Whether the schedule runs that removes dead letters closed 30 days ago, every Sunday at midnight.',
  },
  metricsPort: {
    env: 'METRICS_PORT',
    schema: port(),
    default: '9090',
    describe: 'Port of the metrics listener; 0 takes any free one.',
  },
  metricsHost: {
    env: 'METRICS_HOST',
    schema: text('a host name or IP address'),
    default: '127.0.0.1',
    describe: 'Address the metrics listener listens on.',
  },
  metricsAllowedNetworks: {
    env: 'METRICS_ALLOWED_NETWORKS',
    schema: networks,
    defaultMeaning: '127.0.0.0/8,::1/128; none where PUBLIC_URL is not of this machine',
    describe:
      'Comma-separated networks (CIDR) which may read the metrics, the probes and the embedded mailbox on the main listener. Name none that a reverse proxy is in.',
  },
  metricsAllowedHosts: {
    env: 'METRICS_ALLOWED_HOSTS',
    schema: hosts,
    defaultMeaning: 'none',
    describe:
      'Comma-separated names of this server by which they may be asked for there, besides localhost and IP addresses.',
  },
  trustedProxies: {
    env: 'TRUSTED_PROXIES',
    schema: networks,
    defaultMeaning: 'none',
    describe:
      'Comma-separated networks (CIDR) of reverse proxies whose X-Forwarded-For, -Proto and -Host are believed.',
  },
  dataDir: {
    env: 'DATA_DIR',
    flag: '--data-dir',
    schema: text('a directory'),
    default: '.fmhl',
    describe: 'Directory of the embedded servers and the token key.',
  },
  traffic: {
    env: 'TRAFFIC',
    flag: '--traffic',
    schema: flag(),
    default: 'false',
    describe:
      'Let simulated people, staff and providers use the demo world: two leads a minute on average. Refused in production.',
  },
  mailRetrySpeed: {
    env: 'MAIL_RETRY_SPEED',
    schema: wholeNumber(1, 1000),
    default: '1',
    describe:
      'By how much the waits between the attempts at a mail are divided, to see its end sooner. 1 in production.',
  },
  empty: { env: 'EMPTY', flag: '--empty', schema: flag(), default: 'false', describe: 'Start without the demo world.' },
  profile: {
    env: 'WORLD_PROFILE',
    flag: '--profile',
    schema: choice(['demo', 'S']),
    default: 'demo',
    describe:
      'World of the first start: the small one of the guides, or a month of the market that `fmhl seed --profile S` makes. demo in production.',
  },
  databaseUrl: {
    env: 'DATABASE_URL',
    schema: address(['postgres:', 'postgresql:'], 'postgres://user:password@host:5432/name'),
    defaultMeaning: 'an embedded PostgreSQL',
    secret: true,
    describe: 'PostgreSQL to use in place of the embedded one.',
  },
  redisUrl: {
    env: 'REDIS_URL',
    schema: redisAddress,
    defaultMeaning: 'an embedded Redis',
    secret: true,
    describe: 'Redis (6.2 or newer, noeviction) to use in place of the embedded one.',
  },
  smtpUrl: {
    env: 'SMTP_URL',
    schema: address(['smtp:', 'smtps:'], 'smtp://user:password@host:587'),
    defaultMeaning: 'an embedded mailbox',
    secret: true,
    describe: 'SMTP server which delivers mail, in place of the embedded mailbox.',
  },
  mailFrom: {
    env: 'MAIL_FROM',
    schema: text('a sender').regex(/^[^\r\n]*@[^\r\n]*$/, 'a sender like Name <name@example.com>'),
    default: 'Find Me a Hot Lead <no-reply@fmhl.example.com>',
    describe: 'Sender of every mail.',
  },
  logLevel: {
    env: 'LOG_LEVEL',
    schema: choice(['debug', 'info', 'warn', 'error']),
    default: 'info',
    describe: 'Least severe level that is logged.',
  },
  logFormat: {
    env: 'LOG_FORMAT',
    schema: choice(['json', 'pretty']),
    default: 'json',
    describe: 'One JSON object a line, or lines for people.',
  },
  logSampleRate: {
    env: 'LOG_SAMPLE_RATE',
    schema: share(),
    defaultMeaning: '1, and 0.1 for a kind of line above 50 a second',
    describe: 'Share of the lines of successful requests and jobs that is kept, whole journeys at a time.',
  },
  operationsUrl: {
    env: 'FMHL_URL',
    schema: address(['http:', 'https:'], 'https://leads.example.com').transform((url) => url.replace(/\/+$/, '')),
    defaultMeaning: 'the database on this machine',
    describe: 'Running application that the operations commands talk to.',
  },
  operationsToken: {
    env: 'FMHL_TOKEN',
    schema: text('a token').regex(/^(fmhl_)?[\w-]{43}$/, 'a token as sign-in answers it, or an API token'),
    defaultMeaning: 'that of `fmhl login`',
    secret: true,
    describe: 'Token of the person, or API token of the machine, that gives operations commands to FMHL_URL.',
  },
  noColour: {
    env: 'NO_COLOR',
    schema: z.string().transform(() => true),
    defaultMeaning: 'colours on a terminal',
    describe: 'Anything here keeps the commands from printing colours.',
  },
  adminEmail: {
    env: 'FMHL_ADMIN_EMAIL',
    schema: z.email('an e-mail address'),
    describe: 'E-mail address of the first administrator, made at start when there is none.',
  },
  adminPassword: {
    env: 'FMHL_ADMIN_PASSWORD',
    schema: z.string().min(10, '10 to 128 characters').max(128, '10 to 128 characters'),
    secret: true,
    describe: 'Password of the first administrator.',
  },
  adminTotpSecret: {
    env: 'FMHL_ADMIN_TOTP_SECRET',
    schema: z
      .string()
      .transform((text) => text.replaceAll(/[\s=-]/g, '').toUpperCase())
      .refine((text) => /^[A-Z2-7]{26,103}$/.test(text), '16 to 64 bytes in base32, such as `fmhl totp --new` prints'),
    defaultMeaning: 'enrolled at the first sign-in',
    secret: true,
    describe: 'TOTP secret of the first administrator, whose second factor is then on from the start.',
  },
  tokenKey: {
    env: 'TOKEN_KEY',
    schema: z.string().regex(/^(?:[0-9a-fA-F]{2}){32,}$/, 'at least 32 bytes in hex (64 digits)'),
    defaultMeaning: 'made once in the data directory',
    secret: true,
    describe:
      'Key from which all others follow: of mailed tokens, second factors, the audit chain; every process of one installation needs the same.',
  },
  previousTokenKey: {
    env: 'TOKEN_KEY_PREVIOUS',
    schema: z.string().regex(/^(?:[0-9a-fA-F]{2}){32,}$/, 'at least 32 bytes in hex (64 digits)'),
    defaultMeaning: 'none',
    secret: true,
    describe: 'TOKEN_KEY before its last change: what it signed and sealed is accepted as long as this is given.',
  },
  auditAnchor: {
    env: 'AUDIT_ANCHOR',
    schema: z
      .string()
      .refine(
        (place) => !/^[a-z]+:\/\//i.test(place) || place.startsWith('https://'),
        'a path, an https address, or none',
      ),
    defaultMeaning: 'a file in the data directory, where there is one',
    secret: true,
    describe:
      'File or https address, out of reach of those who reach the database, to which the head of the audit chain is written every hour, or `none`; must be given when NODE_ENV is production.',
  },
  paymentWebhookSecret: {
    env: 'PAYMENT_WEBHOOK_SECRET',
    schema: text('a secret').min(16, 'at least 16 characters'),
    defaultMeaning: 'derived from TOKEN_KEY',
    secret: true,
    describe: 'Secret with which the payment gateway signs its webhooks.',
  },
  previousPaymentWebhookSecret: {
    env: 'PAYMENT_WEBHOOK_SECRET_PREVIOUS',
    schema: text('a secret').min(16, 'at least 16 characters'),
    defaultMeaning: 'none',
    secret: true,
    describe: 'PAYMENT_WEBHOOK_SECRET before its last change, accepted beside it.',
  },
  exportStorage: {
    env: 'EXPORT_STORAGE',
    schema: choice(['local', 's3']),
    default: 'local',
    describe: 'Where the files of exports are kept for their 24 hours: in EXPORT_DIR, or in a bucket.',
  },
  exportDir: {
    env: 'EXPORT_DIR',
    schema: text('a directory'),
    defaultMeaning: 'exports in the data directory',
    describe:
      'Directory of the files of exports; where roles run apart, one that those of api, worker and scheduler share.',
  },
  s3Endpoint: {
    env: 'S3_ENDPOINT',
    schema: address(['http:', 'https:'], 'https://s3.us-east-1.amazonaws.com'),
    describe:
      'S3, or a server that speaks its language; browsers that download an export must reach it by this address too.',
  },
  s3Region: { env: 'S3_REGION', schema: text('a region'), default: 'us-east-1', describe: 'Region of the bucket.' },
  s3Bucket: {
    env: 'S3_BUCKET',
    schema: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'the name of a bucket'),
    describe: 'Bucket of the files of exports; it must be private.',
  },
  s3AccessKeyId: {
    env: 'S3_ACCESS_KEY_ID',
    schema: text('an access key'),
    secret: true,
    describe: 'Access key that may read, write, list and delete objects and uploads of the bucket.',
  },
  s3SecretAccessKey: {
    env: 'S3_SECRET_ACCESS_KEY',
    schema: text('a secret'),
    secret: true,
    describe: 'Secret of the access key.',
  },
  depositMode: {
    env: 'DEPOSIT_MODE',
    schema: choice(['instant', 'gateway']),
    default: 'instant',
    describe:
      'Deposits are credited at once, or when the gateway reports them; must be given when NODE_ENV is production.',
  },
  ...requestLimitSettings,
  shutdownDrainMs: {
    env: 'SHUTDOWN_DRAIN_MS',
    schema: milliseconds(0),
    default: '0',
    describe: 'Milliseconds between "not ready" and the end of service, so that a load balancer can look away.',
  },
  workerConcurrency: {
    env: 'WORKER_CONCURRENCY',
    schema: wholeNumber(1, 1000),
    default: '8',
    describe: 'Jobs of one queue that one worker works on at once: of mails twice as many, of exports two at most.',
  },
  pgPoolSize: {
    env: 'PG_POOL_SIZE',
    schema: wholeNumber(1, 1000),
    default: '10',
    describe: 'Connections to PostgreSQL that one process holds at most.',
  },
  jobLockMs: {
    env: 'JOB_LOCK_MS',
    schema: milliseconds(1000),
    default: '30000',
    describe: 'Milliseconds after which a job of a silent worker is given to another.',
  },
  reconcileAfterMs: {
    env: 'RECONCILE_AFTER_MS',
    schema: milliseconds(1),
    default: '60000',
    describe: 'Age in milliseconds from which a job missing in Redis is sent again.',
  },
  reconcileEveryMs: {
    env: 'RECONCILE_EVERY_MS',
    schema: milliseconds(1),
    default: '60000',
    describe: 'Milliseconds between two looks for such jobs.',
  },
  probeEveryMs: {
    env: 'PROBE_EVERY_MS',
    schema: milliseconds(0),
    default: '3600000',
    describe:
      'Milliseconds between two jobs of a queue that die on purpose, to show that deaths are captured; 0 for none.',
  },
  leaseMs: {
    env: 'LEASE_MS',
    schema: milliseconds(1000),
    default: '15000',
    describe: 'Milliseconds after which another scheduler takes over from a silent one.',
  },
  nodeEnv: {
    env: 'NODE_ENV',
    schema: choice(['development', 'production', 'test']),
    default: 'development',
    describe: 'Kind of installation.',
  },
  failpoint: {
    env: 'FAILPOINT',
    schema: text('a failpoint'),
    describe: 'Place in the code at which this process crashes on purpose; refused in production.',
  },
} as const satisfies Record<string, Setting>;

export type Settings = typeof settings;
export type SettingName = keyof Settings;
