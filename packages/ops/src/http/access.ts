import type { FastifyRequest } from 'fastify';
import type { Actor } from '../audit/index.ts';
import type { RevealVerdict } from '../dead-letter-search/index.ts';
import { refuse } from '../refusals/index.ts';

/** What the host says of a request: who asks, and what they may do. */
export interface Authorization {
  readonly actor: Actor;
  readonly permissions: ReadonlySet<string>;
  /** When the second factor was last shown; undefined when never. */
  readonly secondFactorAt?: Date | undefined;
}

/** The one question the library asks its host. Undefined is a refusal (401); throw a `Refusal` to say more. */
export type Authorize = (request: FastifyRequest) => Promise<Authorization | undefined> | Authorization | undefined;

/**
 * What a route asks of its caller. Every route names it in `config.access`; a route without one stops the start.
 * `secondFactor: 'fresh'` asks for a second factor of the last 15 minutes (the mark † of the reference).
 */
export type Access =
  | 'public'
  | 'signed_in'
  | { readonly permission: string; readonly secondFactor?: 'verified' | 'fresh' };

/** How long a second factor counts as fresh, in ms. */
export const freshForMs = 15 * 60_000;

/**
 * Decides whether an authorization satisfies a route. Pure.
 * Throws refusal `no_session`, `missing_permission`, `mfa_required` or `mfa_stale`, in that order.
 */
export function checkAccess(access: Access, authorization: Authorization | undefined, now: Date): void {
  if (access === 'public') return;
  if (!authorization) throw refuse('no_session');
  if (access === 'signed_in') return;
  if (!authorization.permissions.has(access.permission)) {
    throw refuse('missing_permission', { permission: access.permission });
  }
  if (access.secondFactor === undefined) return;
  const { secondFactorAt } = authorization;
  if (!secondFactorAt) throw refuse('mfa_required');
  if (access.secondFactor === 'fresh' && now.getTime() - secondFactorAt.getTime() > freshForMs)
    throw refuse('mfa_stale');
}

/** Why a caller may not see personal values, or that they may: it asks for `dlq.reveal` and a fresh second factor. */
export function judgeReveal({ permissions, secondFactorAt }: Authorization, now: Date): RevealVerdict {
  if (!permissions.has('dlq.reveal')) return 'missing_permission';
  if (!secondFactorAt) return 'mfa_required';
  return now.getTime() - secondFactorAt.getTime() > freshForMs ? 'mfa_stale' : 'allowed';
}

/** Whether the caller may see personal values now. */
export function mayReveal(authorization: Authorization, now: Date): boolean {
  return judgeReveal(authorization, now) === 'allowed';
}

/** Asks for more than the route does, where what is asked for depends on the body. Throws as {@link checkAccess}. */
export function demand(authorization: Authorization, access: Exclude<Access, string>, now: Date = new Date()): void {
  checkAccess(access, authorization, now);
}
