export { type Actor, type AuditEntry, audit, systemActor } from './append.ts';
