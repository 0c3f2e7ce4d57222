export { runView, type RunView, saleView, type SaleView } from './contract.ts';
export { type DistributeInput, distributeLead, type Distribution, type DistributionDeps } from './distribute.ts';
export { type Probe, probes } from './invariants.ts';
export { type DistributeLeadPayload, openDistributionHandler } from './jobs.ts';
export { distributionRoutes } from './routes.ts';
export { readRuns, readSales } from './runs.ts';
