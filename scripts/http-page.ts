import { code, page, table } from './markdown.ts';
import { withServer } from './offline-server.ts';

interface Operation {
  tags?: string[];
  summary?: string;
  responses: Record<string, unknown>;
  'x-access'?: string;
}

interface OpenApi {
  paths: Record<string, Record<string, Operation>>;
}

/** The routes as the OpenAPI document has them. */
export function httpPage(): Promise<string> {
  return withServer((server) => page('HTTP', [intro, ...sectionsOf(server.swagger() as unknown as OpenApi), besides]));
}

const intro = `Bodies, answers and every field: \`/docs\` of a running product, or the OpenAPI 3.1 document at \`/api/v1/openapi.json\`.

A caller signs in with \`POST /api/v1/auth/login\` and sends the token as \`Authorization: Bearer …\`; browsers may use the cookie that comes with it.
Access names the permission a caller needs. † asks besides for a second factor of the last 15 minutes. Who has one gets a
token for \`POST /api/v1/auth/mfa/challenge\` first; staff without one can only enrol it. A passkey is both at once.
Machines send an API token (\`fmhl_…\`) of \`POST /api/v1/auth/tokens\` in the same header: it may do what its scopes name, and nothing marked †. The permissions of each role are in [permissions.md](permissions.md).

Every answer carries \`x-correlation-id\`. A write takes an \`Idempotency-Key\` of 8–64 of \`A–Z a–z 0–9 _ -\` where its operation runs once per
key; a repeat gets the first answer with \`Idempotency-Replayed: true\`. Errors have one shape: see [errors.md](errors.md).
Lists answer \`{ items, pagination: { limit, next_cursor } }\` and take \`limit\` (1–200) and \`cursor\`.`;

const besides = `## Besides the API

${table(
  ['path', 'what', 'where'],
  [
    ['`/`', 'a page of links', 'main listener'],
    ['`/docs`', 'the API, to read and to try', 'main listener'],
    ['`/api/v1/openapi.json`', 'the API as OpenAPI 3.1', 'main listener'],
    [
      '`/mailbox`, `/mailbox/:id`, `/mailbox.json?to=`',
      'the mails that were sent, while the embedded mailbox runs',
      'main listener',
    ],
    ['`/health/live`', 'is the process alive: always 200', 'both listeners'],
    ['`/health/ready`, `/health`', 'is everything there: 200, or 503 with the check that is down', 'both listeners'],
    ['`/health/serving`', 'can this role do its work: as ready, with the checks it needs', 'both listeners'],
    ['`/metrics`', 'the exposition for Prometheus', 'both listeners'],
  ],
)}

The second listener is that of \`METRICS_PORT\`. On the main one, probes, metrics and mailbox answer only to \`METRICS_ALLOWED_NETWORKS\`, asked as
localhost, by address or by a name of \`METRICS_ALLOWED_HOSTS\`, and never through a proxy; to others they do not exist.`;

function sectionsOf({ paths }: OpenApi): string[] {
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const byTag = Map.groupBy(routes, ({ operation }) => operation.tags?.[0] ?? 'other');
  return [...byTag].map(
    ([tag, group]) => `## ${tag}\n\n${table(['route', 'access', 'answer', 'what it does'], group.map(rowOf))}`,
  );
}

function rowOf({ path, method, operation }: { path: string; method: string; operation: Operation }): string[] {
  const route = code(`${method.toUpperCase()} ${path}`);
  const answers = Object.keys(operation.responses).filter((status) => Number(status) < 400);
  return [route, operation['x-access'] ?? '', answers.join(', '), operation.summary ?? ''];
}
