import type { Access } from '@fmhl/ops';
import type { RouteOptions } from 'fastify';
import { permissionsOf } from './access.ts';

/** One row: a route of the API, and what it declares to ask of its caller. */
export interface OperationRow {
  readonly method: string;
  /** As the router has it: `/api/v1/admin/leads/:id`. */
  readonly path: string;
  /** Undefined for pages and probes, which are no operations. */
  readonly access: Access | undefined;
  /** Also serves a session whose second factor is still to be shown. */
  readonly acceptsPending: boolean;
  readonly secondFactor: 'none' | 'verified' | 'fresh';
  readonly idempotency: 'required' | 'accepted' | undefined;
  readonly summary: string;
}

/**
 * The table of operations. It is what the routes say of themselves: give `note` to `buildHttp` as `onRoute`, then read `rows`. HEAD and
 * OPTIONS follow their GET, and have no rows.
 */
export function openOperationTable() {
  const rows: OperationRow[] = [];
  return { rows, note: (route: RouteOptions) => void rows.push(...rowsOf(route)) };
}

function rowsOf({ method, url, config, schema }: RouteOptions): OperationRow[] {
  const { summary = '' } = (schema ?? {}) as { summary?: string };
  const { access, acceptsPending = false, idempotency } = config ?? {};
  const secondFactor = secondFactorOf(config);
  return [method]
    .flat()
    .filter((one) => one !== 'HEAD' && one !== 'OPTIONS')
    .map((one) => ({ method: one, path: url, access, acceptsPending, secondFactor, idempotency, summary }));
}

/** Which second factor a route asks for. */
export function secondFactorOf({ access, freshSession }: RouteOptions['config'] = {}): OperationRow['secondFactor'] {
  if (freshSession) return 'fresh';
  return (typeof access === 'object' ? access.secondFactor : undefined) ?? 'none';
}

/** Whether a role may call a route, its second factor apart; without a role it is anybody. */
export function mayCall(access: Access, role: string | undefined): boolean {
  if (access === 'public') return true;
  if (role === undefined) return false;
  return access === 'signed_in' || (permissionsOf[role] ?? []).some((held) => held === access.permission);
}

/** What a route asks for, in words; † is the mark of the reference for a second factor of the last 15 minutes. */
export function accessText(access: Access, isFresh: boolean): string {
  if (access === 'public') return 'everybody';
  const mark = isFresh ? ' †' : '';
  return access === 'signed_in' ? `whoever is signed in${mark}` : `permission \`${access.permission}\`${mark}`;
}
