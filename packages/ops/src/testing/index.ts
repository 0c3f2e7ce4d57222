export {
  createTestDatabase,
  type TemplateDatabaseOptions,
  type TestDatabase,
  type TestDatabaseOptions,
  templateDatabase,
} from './database.ts';
export { type PollOptions, pollUntil } from './poll.ts';
export { testPrefix } from './prefix.ts';
export { openTestPlane, type TestPlane, type TestPlaneOptions } from './plane.ts';
