export { exportRoutes } from './export-routes.ts';
export { reportInvariants } from './invariants.ts';
export { type ExportHandlerDeps, openExportHandler } from './jobs.ts';
export { reportFormulas, type ReportReference } from './report-formulas.ts';
export { requestExport } from './request-export.ts';
export { reportRules } from './report-rules.ts';
export { reportRoutes } from './report-routes.ts';
export { removeOldExports } from './retention.ts';
export { sweepExports } from './sweep-exports.ts';
