export { distributeLead, type Distribution, type DistributionDeps } from './distribute.ts';
export { probes } from './invariants.ts';
export { openDistributionHandler } from './jobs.ts';
export { distributionRoutes } from './routes.ts';
export { readSales } from './runs.ts';
