export { openAuthorizer } from './authorizer.ts';
export { type Role } from './contract.ts';
export { openPasswords, type PasswordOptions, type Passwords } from './passwords.ts';
export { type CreateProvider, type RegisterDeps } from './register.ts';
export { authRoutes } from './routes.ts';
export { createFirstAdmin, createUser, hashChosenPassword, type UserDraft } from './users.ts';
