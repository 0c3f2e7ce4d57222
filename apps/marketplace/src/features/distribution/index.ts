export { capAt, cascadeFrom, type Level, slotsAt } from './cascade.ts';
export { distributeLead, type Distribution, type DistributionDeps } from './distribute.ts';
export { probes } from './invariants.ts';
export { openDistributionHandler } from './jobs.ts';
export { queueMissingMails } from './missing-mails.ts';
export { type Candidate, choose } from './ranking.ts';
export { refundMark } from './refund-mark.ts';
export { distributionRoutes } from './routes.ts';
export { readSales } from './runs.ts';
