export { decide } from './decide.ts';
export { type InboxRouteDeps, inboxRoutes } from './routes.ts';
