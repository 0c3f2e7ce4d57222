export { type Access, type Authorization, type Authorize, checkAccess, freshForMs } from './access.ts';
export { adminRoutes } from './admin.ts';
export type { AuditProof } from './audit.ts';
export { gracefulClose, type GracefulCloseOptions } from './graceful-close.ts';
export { jsonBody } from './json-body.ts';
export {
  guardNetworks,
  PortTaken,
  probeListener,
  type ProbeListener,
  type ProbeListenerOptions,
  type ProbeOptions,
  probes,
} from './probes.ts';
export { answerError } from './problem.ts';
export { serverErrors } from './server-errors.ts';
export { web, type WebOptions } from './web.ts';
export { idempotencyKey, idempotencyKeyForm, write } from './write.ts';
