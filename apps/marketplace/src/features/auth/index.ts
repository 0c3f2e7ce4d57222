export { openAuthorizer } from './authorizer.ts';
export { openPasswords, type Passwords } from './passwords.ts';
export { enrolResponse, loginResponse, type Role, sessionResponse, verifyResponse } from './contract.ts';
export { publicUser, recordSignIn } from './login.ts';
export { removeOldSignIns } from './retention.ts';
export { authRoutes } from './routes.ts';
export type { SessionRow } from './queries.ts';
export { sessionCookie, writeCookie } from './session-cookie.ts';
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
