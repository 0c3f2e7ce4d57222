export { captureDeaths } from './capture.ts';
export { type Claim, type Claimed, claimLetters, type ClaimOptions, retryBand } from './claim.ts';
export { closeLetter, closeLetters, type CloseOptions, type Closing } from './close.ts';
export {
  closeAnswer,
  closeBody,
  deleteAnswer,
  deleteBody,
  jsonPatch,
  retryAnswer,
  retryBody,
  retryPreview,
} from './contract.ts';
export { type Edited, editPayload } from './edit.ts';
export { type Classified, classifier, fingerprintOf, type ToClassify } from './fingerprint.ts';
export { foldChanges, readStock, type Stock } from './fold.ts';
export { conflictOf, type Letter, type LetterState, letterStates, readLetter } from './letter.ts';
export { captureRemoved } from './removed.ts';
export { letterRetention, retainLetters } from './retention.ts';
export { retryLetter, type RetryPlan, type RetryRequest } from './retry.ts';
export { openFold, openSweeper, sweepAll } from './sweeper.ts';
