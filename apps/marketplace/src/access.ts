import { type Access, type Actor, opsPermissions, permissionPresets } from '@fmhl/ops';
import type { FastifyRequest } from 'fastify';
import { refuse } from './errors.ts';

/** A route of the provider portal: role provider, own rows only. */
export const provider: Access = { permission: 'portal.use' satisfies Permission };

/** A route of the staff: the permission, and a second factor. `fresh` is the mark † of the reference. */
export function staff(permission: Permission, fresh?: 'fresh'): Access {
  return { permission, secondFactor: fresh ?? 'verified' };
}

/** Who asks, on a route that is not public. */
export function actorOf(request: FastifyRequest): Actor {
  if (!request.authorization) throw refuse('no_session');
  return request.authorization.actor;
}

/** What the marketplace asks for beside the plane's own permissions, and what its holder may do. */
export const marketplacePermissions = {
  'portal.use': 'Use the provider portal: own subscriptions, inbox, balance.',
  'lead.read': 'See leads with the personal data of their people, their sales, sources and mails, and the catalogue.',
  'lead.review': 'Approve, reject and erase leads, start their sale anew, block sources, and send mails anew.',
  'provider.read': 'See providers and their subscriptions.',
  'provider.write': 'Add providers, subscribe them, suspend, reinstate and close them.',
  'catalogue.write': 'Add and change niches and levels.',
  'money.read': 'See balances, their ledgers, and reports of bad leads with what buyers wrote.',
  'money.write': 'Change balances by hand, decide about bad leads and refund, and set prices.',
  'report.read': 'See reports.',
  'report.export': 'Download reports.',
  'user.write': 'Add users, change their roles, disable them and end their sessions.',
} as const;

/** Every permission there is, with its meaning. */
export const permissions = { ...marketplacePermissions, ...opsPermissions };
export type Permission = keyof typeof permissions;

const all = Object.keys(permissions) as Permission[];

/** What each role may do. Viewers and responders work on the plane alone: leads are personal data, which recovery does not need. */
export const permissionsOf: Readonly<Record<string, readonly Permission[]>> = {
  admin: all.filter((permission) => permission !== 'portal.use'),
  responder: permissionPresets.responder,
  viewer: permissionPresets.viewer,
  finance: all.filter((permission) => /^(money|report)\.|\.read$/.test(permission)),
  provider: ['portal.use'],
};
