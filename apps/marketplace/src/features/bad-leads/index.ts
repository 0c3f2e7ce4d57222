import type { FastifyInstance } from 'fastify';
import { type AdminBadLeadDeps, adminBadLeadRoutes } from './admin-routes.ts';
import { markBadRoute } from './mark-bad-route.ts';
import { type ProviderReportDeps, providerReportRoutes } from './provider-routes.ts';

export { eraseNotes } from './erase-notes.ts';
export { badLeadInvariants } from './invariants.ts';

export type BadLeadRouteDeps = AdminBadLeadDeps & ProviderReportDeps;

/** Every route of bad leads and refunds. */
export function badLeadRoutes(app: FastifyInstance, deps: BadLeadRouteDeps): void {
  providerReportRoutes(app, deps);
  adminBadLeadRoutes(app, deps);
  markBadRoute(app, deps);
}
