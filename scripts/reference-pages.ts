import { metricsReference } from '../packages/ops/src/metrics/index.ts';
import { opsErrors } from '../packages/ops/src/refusals/index.ts';
import { opsLogEvents } from '../packages/ops/src/logging/index.ts';
import { configReference } from '../apps/marketplace/src/config.ts';
import { errors } from '../apps/marketplace/src/errors.ts';
import { events } from '../apps/marketplace/src/events.ts';
import { marketplaceLogEvents } from '../apps/marketplace/src/log.ts';
import { catalogue } from '../apps/marketplace/src/metrics.ts';
import { cliPage } from './cli-page.ts';
import { httpPage } from './http-page.ts';
import { jobsPage } from './jobs-page.ts';
import { code, page, table } from './markdown.ts';
import { permissionsPage } from './permissions-page.ts';

/** Every page of `docs/reference`, by file name. */
export async function referencePages(): Promise<Record<string, string>> {
  return {
    'cli.md': cliPage(),
    'configuration.md': configurationPage(),
    'errors.md': errorsPage(),
    'events.md': eventsPage(),
    'http.md': await httpPage(),
    'jobs.md': jobsPage(),
    'logs.md': logsPage(),
    'metrics.md': metricsPage(),
    'permissions.md': await permissionsPage(),
  };
}

function configurationPage(): string {
  const rows = configReference().map(({ name, file, flag, default: value, meaning }) => [
    file ? `${code(name)}, ${code(file)}` : code(name),
    flag ? code(flag) : '',
    value,
    meaning,
  ]);
  return page('Configuration', [
    'A flag goes before its variable, an empty variable counts as not given, and all faults are reported at once before anything starts.\n`fmhl run` asks for `DATABASE_URL`, `REDIS_URL`, `SMTP_URL` and `TOKEN_KEY`; `fmhl up` brings along what is not given.',
    'A secret is given in its variable, or in a file whose path `<NAME>_FILE` holds (the line end after it is not part of it); giving both is a fault.\nSecrets are never shown, in faults neither.',
    table(['variable', 'flag', 'default', 'meaning'], rows),
  ]);
}

function metricsPage(): string {
  return page('Metrics', [
    'Served at `/metrics`, besides the process metrics of the client library. A flow is added up over processes; a stock is shared state that\neach process reports whole, so take its maximum; an instance is state of one process.',
    metricsReference(catalogue).trim(),
  ]);
}

function errorsPage(): string {
  const rows = Object.entries(errors).map(([name, { status, meaning }]) => [
    code(name),
    String(status),
    name in opsErrors ? 'plane' : 'marketplace',
    meaning,
  ]);
  return page('Errors', [
    'Every error answers `{ error, code, correlation_id, details? }`: `code` is for programs, `error` is the sentence of the status, `details` says\nwhat would be valid and never repeats a refused value.',
    table(['code', 'status', 'of the', 'meaning'], rows),
  ]);
}

function eventsPage(): string {
  const rows = Object.entries(events).map(([type, { stream, aggregate, payload, meaning }]) => [
    code(type),
    stream,
    code(aggregate),
    payload.map(code).join(', '),
    meaning,
  ]);
  return page('Events', [
    'Facts, appended to `ops.event_outbox` in the transaction that makes them true. Nothing reads them yet. A row carries event id, type, schema\nversion, stream, aggregate with its version, correlation and causation ids, and time. Payloads hold no personal data.',
    table(['type', 'stream', 'aggregate', 'payload', 'meaning'], rows),
  ]);
}

function logsPage(): string {
  const list = (names: readonly string[]) => names.map(code).join(', ');
  return page('Logs', [
    'One JSON object a line on standard output; `LOG_FORMAT=pretty` is for people. The vocabulary is closed: a line has one of the events below.',
    table(
      ['field', 'meaning'],
      [
        ['`level`', '`debug`, `info`, `warn`, `error`; an error is something a person must look at'],
        ['`timestamp`', 'ISO 8601, UTC, with milliseconds'],
        [
          '`service`, `version`, `instance`',
          'the role (`fmhl-api`, `fmhl-worker`, …; `fmhl-all` for `fmhl up`), the version, the host',
        ],
        [
          '`correlation_id`',
          'the journey: a lead keeps the id of its submission through jobs, mails and decisions; lines outside any work carry an id of the process',
        ],
        ['`event`', 'what happened'],
        [
          '`metadata`',
          'ids, counts and durations; `request_id` where a request works under a lead’s correlation; `error` with type, message, stack and code',
        ],
      ],
    ),
    'Values under keys that name a person or a secret are written `[redacted]`, texts that look like mail addresses, phone or card numbers are masked, and a line holds at\nmost 16 KiB. `http_request` and `job_completed` are thinned to a tenth above 50 a second, whole journeys at a time; slow ones stay. Of identical errors ten a\nminute are written, then one a minute that says how many were not. SIGUSR2 turns on debug for ten minutes.',
    `## Of the operations plane\n\n${list(opsLogEvents)}`,
    `## Of the marketplace\n\n${list(marketplaceLogEvents)}`,
  ]);
}
