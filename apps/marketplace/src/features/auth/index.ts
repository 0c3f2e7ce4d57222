export { openAuthorizer } from './authorizer.ts';
export { openPasswords, type Passwords } from './passwords.ts';
export { enrolResponse, loginResponse, type Role, sessionResponse, verifyResponse } from './contract.ts';
export { admitAttempt, type Attempt, forgetAttempt, forgiveFailures, passkeyAttempt } from './attempts.ts';
export { recordFactorChange, tellFactorChange } from './factor-change.ts';
export { requireFreshFactor, requireKnownFactor } from './known-factor.ts';
export { publicUser, recordSignIn } from './login.ts';
export { removeOldSignIns } from './retention.ts';
export { authRoutes } from './routes.ts';
export { raiseUserVersion, type SessionRow } from './queries.ts';
export {
  type Client,
  clientOf,
  currentSession,
  type OpenedSession,
  openSession,
  revokeUserSessions,
  setSessionCookie,
} from './sessions.ts';
export { createAdmin, createFirstAdmin, createUser, hashChosenPassword, readablePassword } from './users.ts';
