import type { FastifyInstance } from 'fastify';
import { adminPauseRoutes } from './admin-pause-routes.ts';
import { adminProviderRoutes, type AdminProviderRouteDeps } from './admin-routes.ts';
import { catalogueRoutes, type CatalogueRouteDeps } from './catalogue-routes.ts';
import { type PriceRouteDeps, priceRoutes } from './price-routes.ts';
import { providerRoutes, type ProviderRouteDeps } from './provider-routes.ts';
import { publicNicheRoutes } from './public-routes.ts';

export { areaCodesOf } from './areas.ts';
export { createLevel, createNiche } from './catalogue.ts';
export { filterMatches } from './filter-rules.ts';
export { compileForm } from './form-schema.ts';
export { announceUnfunded, pauseUnfunded, resumeFunded, sweepLevel } from './funding.ts';
export {
  createProvider,
  createProviderAccount,
  ownProvider,
  ownWritingProvider,
} from './providers.ts';
export { subscriptionInvariants } from './invariants.ts';
export { reactivateSubscriptions } from './reactivate.ts';
export {
  activateProvider,
  reinstateByStaff,
  reinstateProvider,
  suspendByStaff,
  suspendProvider,
} from './provider-status.ts';
export { saleMarks } from './sale-marks.ts';
export { subscribe } from './subscribe.ts';

export type SubscriptionRouteDeps = AdminProviderRouteDeps & CatalogueRouteDeps & PriceRouteDeps & ProviderRouteDeps;

/** Every route of niches, levels, providers and subscriptions. */
export function subscriptionRoutes(app: FastifyInstance, deps: SubscriptionRouteDeps): void {
  publicNicheRoutes(app, deps);
  providerRoutes(app, deps);
  catalogueRoutes(app, deps);
  priceRoutes(app, deps);
  adminPauseRoutes(app, deps);
  adminProviderRoutes(app, deps);
}
