export {
  AmbiguousCommit,
  type Database,
  type DatabaseOptions,
  ofDatabase,
  openDatabase,
  type Queryable,
  type Statement,
  type TransactionOptions,
  type Tx,
  type WakeTopic,
} from './database.ts';
export { type DatabaseFailure, databaseFailure } from './failures.ts';
export { type MigrationSet, type MigrationState, type Migrator, openMigrator, MigrationError } from './migrations.ts';
export { empty, join, prepared, raw, type Sql, sql } from './statements.ts';
