export {
  captureProof,
  deadLetterReport,
  proofRow,
  repairAnswer,
  repairBody,
  retentionPreview,
} from './contract.ts';
export { openProbe, type ProbeDeps } from './probe.ts';
export { type CaptureProof, type ProofDeps, readProof } from './proof.ts';
export { repairProof, type RepairRequest } from './repair.ts';
export { type Report, type ReportRequest, readReport } from './report.ts';
export { previewRetention, type RetentionPreview } from './retention-preview.ts';
export { watchProof } from './watch-proof.ts';
