export { limitRequests, type RequestLimits } from './limit-requests.ts';
export { Limiter, type LimiterOptions } from './limiter.ts';
export { quotaNames, type QuotaName, quotasOf } from './quota.ts';
