export { type Lease, type LeaseOptions, openLease } from './lease.ts';
