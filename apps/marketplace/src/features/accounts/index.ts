import type { FastifyInstance } from 'fastify';
import { mailRoutes } from './mail-routes.ts';
import { type OwnDeps, sessionRoutes, tokenRoutes } from './own-routes.ts';
import type { OwnPasskeyDeps } from './own-passkeys.ts';
import { passkeyRoutes } from './passkey-routes.ts';
import type { ResetDeps } from './reset-password.ts';
import { type UserAdministrationDeps, userRoutes } from './user-routes.ts';

export { endAccess } from './administer-users.ts';
export { authorizeToken } from './api-tokens.ts';
export { mailedToken } from './mailed-token.ts';
export { resetSecondFactor } from './reset-second-factor.ts';
export { removeEnded } from './retention.ts';
export { mailVerification } from './verify-email.ts';

export type AccountDeps = OwnDeps & OwnPasskeyDeps & ResetDeps & UserAdministrationDeps;

/** What people do with their account, and administrators with the accounts of others. */
export function accountRoutes(app: FastifyInstance, deps: AccountDeps): void {
  mailRoutes(app, deps);
  sessionRoutes(app, deps);
  tokenRoutes(app, deps);
  passkeyRoutes(app, deps);
  userRoutes(app, deps);
}
