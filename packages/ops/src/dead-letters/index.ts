export { openBurial } from './capture.ts';
export { type Claim, claimLetters, retryBand } from './claim.ts';
export { closeLetter, closeLetters, type Closing } from './close.ts';
export {
  closeAnswer,
  closeBody,
  deleteAnswer,
  deleteBody,
  retryAnswer,
  retryBody,
  retryPreview,
} from './contract.ts';
export { type Classified, classifier, fingerprintOf } from './fingerprint.ts';
export { foldChanges, readStock, type Stock } from './fold.ts';
export { attemptsHistory } from './history.ts';
export { conflictOf, readLetter, whyAbsent } from './letter.ts';
export { type PastDeath, recordPastDeaths } from './past-deaths.ts';
export { captureRemoved } from './removed.ts';
export { letterRetention, removedByQueue, retainLetters } from './retention.ts';
export { retryLetter, type RetryRequest } from './retry.ts';
export { isLeft } from './sweep.ts';
export { openFold, openSweeper, sweepAll } from './sweeper.ts';
