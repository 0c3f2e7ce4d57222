import { type Permission, permissions, permissionsOf } from '../apps/marketplace/src/access.ts';
import { accessText, mayCall, openOperationTable, type OperationRow } from '../apps/marketplace/src/operation-table.ts';
import { code, page, table } from './markdown.ts';
import { withServer } from './offline-server.ts';

/** Role by role and route by route, from what the routes declare. */
export async function permissionsPage(): Promise<string> {
  const { rows, note } = openOperationTable();
  await withServer(() => undefined, { onRoute: note });
  const operations = rows.filter(({ access }) => access !== undefined);
  return page('Permissions', [
    intro,
    `## Roles and permissions\n\n${permissionTable(operations)}`,
    `## Operations\n\n${marks}\n\n${operationTable(operations)}`,
  ]);
}

const roles = ['provider', 'viewer', 'responder', 'finance', 'admin'];

const intro = `A user has one role, and a role has permissions; nothing else decides what a caller may do. An API token may do what both its user and its
scopes allow. Checks run in the order 401, 403, 400, 404: who is refused learns nothing. A refusal by permission is audited as \`access.denied\`.

Operations of the staff, which is every role but \`provider\`, ask for a second factor; those marked † for one of the last 15 minutes. Providers see
their own rows only: the id of another's is answered like one that does not exist, with 404.

A host of \`@fmhl/ops\` with roles of its own maps them to the plane's permissions, or takes the presets \`viewer\`, \`responder\` and \`admin\` of
\`permissionPresets\`.`;

const marks = `• may call it. † asks for a second factor of the last 15 minutes, ‡ for an \`Idempotency-Key\`.`;

function permissionTable(operations: readonly OperationRow[]): string {
  const names = Object.keys(permissions) as Permission[];
  const asked = new Set(operations.map(({ access }) => (typeof access === 'object' ? access.permission : '')));
  const rows = names.map((name) => [
    code(name),
    `${permissions[name]}${asked.has(name) || inside.has(name) ? '' : ' No operation asks for it yet.'}`,
    ...roles.map((role) => dot(permissionsOf[role]?.includes(name) ?? false)),
  ]);
  return table(['permission', 'its holder may', ...roles], rows);
}

/** Asked for inside operations, where what is asked for depends on the request. */
const inside: ReadonlySet<Permission> = new Set<Permission>(['dlq.reveal']);

function operationTable(operations: readonly OperationRow[]): string {
  const rows = operations.map(({ method, path, access = 'public', secondFactor, idempotency }) => [
    code(`${method} ${path}`),
    `${accessText(access, secondFactor === 'fresh')}${idempotency === 'required' ? ' ‡' : ''}`,
    ...[undefined, ...roles].map((role) => dot(mayCall(access, role))),
  ]);
  return table(['operation', 'asks for', 'anybody', ...roles], rows);
}

const dot = (may: boolean): string => (may ? '•' : '');
