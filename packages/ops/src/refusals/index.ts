export { type ErrorCode, type ErrorCodes, opsErrors, statusTexts } from './codes.ts';
export { Refusal, refusals, refuse } from './refusal.ts';
