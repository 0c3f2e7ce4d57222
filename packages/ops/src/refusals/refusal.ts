import { type ErrorCodes, opsErrors } from './codes.ts';

/** An operation's "no": thrown inside a transaction so that nothing of it stays. Faces turn it into status and code. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly code: string;
  /** HTTP status, 400–503. */
  readonly status: number;
  /** What would be valid, or who was first. Never personal data. */
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: string, status: number, details?: Record<string, unknown>) {
    super(code);
    this.code = code;
    this.status = status;
    this.details = details;
  }
}

/** Makes the function that builds refusals from one closed list of codes: `throw refuse('not_found')`. */
export function refusals<Codes extends ErrorCodes>(codes: Codes) {
  return (code: keyof Codes & string, details?: Record<string, unknown>): Refusal =>
    new Refusal(code, codes[code]?.status ?? 500, details);
}

/** Refusals with the library's own codes. */
export const refuse = refusals(opsErrors);
