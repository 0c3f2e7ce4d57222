export { openAuthorizer } from './authorizer.ts';
export { openPasswords, type Passwords } from './passwords.ts';
export { loginResponse } from './contract.ts';
export { authRoutes } from './routes.ts';
export { createAdmin, createFirstAdmin, createUser, hashChosenPassword, readablePassword } from './users.ts';
