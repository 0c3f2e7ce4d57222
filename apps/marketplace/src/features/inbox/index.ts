export { eraseReasons } from './erase-reasons.ts';
export { inboxRoutes } from './routes.ts';
