import type { Access, Actor } from '@fmhl/ops';
import type { FastifyRequest } from 'fastify';
import { refuse } from './errors.ts';

/** A route of the provider portal: role provider, own rows only. */
export const provider: Access = { permission: 'portal.use' };

/** A route of the staff: the permission, and a second factor. `fresh` is the mark † of the reference. */
export function staff(permission: string, fresh?: 'fresh'): Access {
  return { permission, secondFactor: fresh ?? 'verified' };
}

/** Who asks, on a route that is not public. */
export function actorOf(request: FastifyRequest): Actor {
  if (!request.authorization) throw refuse('no_session');
  return request.authorization.actor;
}

/** All permissions of the operations plane, by the names the library gives them. */
const operations = [
  'queue.read',
  'queue.control',
  'job.control',
  'dlq.read',
  'dlq.retry',
  'dlq.resolve',
  'dlq.annotate',
  'dlq.reveal',
  'dlq.discard',
  'dlq.edit',
  'dlq.export',
  'redrive.plan',
  'redrive.run',
  'redrive.approve',
];

/** What each role may do. Operations of the plane keep the names the library gives them. */
export const permissionsOf: Readonly<Record<string, readonly string[]>> = {
  admin: [
    'lead.read',
    'lead.review',
    'provider.read',
    'provider.write',
    'catalogue.write',
    'money.read',
    'money.write',
    'report.read',
    'report.export',
    'user.write',
    ...operations,
  ],
  provider: ['portal.use'],
};
