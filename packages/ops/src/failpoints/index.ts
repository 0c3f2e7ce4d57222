export { armFailpoint, type Failpoint, type FailpointName, failpointNames, noFailpoints } from './failpoints.ts';
