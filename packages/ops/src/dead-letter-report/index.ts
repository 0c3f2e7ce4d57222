export { captureProof, deadLetterReport, repairAnswer, repairBody, retentionPreview } from './contract.ts';
export { openProbe } from './probe.ts';
export { type CaptureProof, type ProofDeps, readProof } from './proof.ts';
export { repairProof } from './repair.ts';
export { type Report, readReport } from './report.ts';
export { previewRetention } from './retention-preview.ts';
export { watchProof } from './watch-proof.ts';
