/** How a delivery failed, without a word the server said: its texts may hold the address. */
export interface SmtpFailure {
  /** The mailbox does not exist or takes no mail: a result, not a fault. Everything else may pass. */
  readonly kind: 'mailbox_refused' | 'transient';
  readonly smtpCode?: number;
  /** Code and enhanced code, or the kind of connection failure: `550 5.1.1`, `ECONNREFUSED`. */
  readonly summary: string;
}

/** What SMTP clients attach to their errors. */
interface SmtpErrorLike {
  code?: unknown;
  originalCode?: unknown;
  responseCode?: unknown;
  response?: unknown;
}

/** Judges what a transport threw. Pure and total. */
export function judgeSmtpError(thrown: unknown): SmtpFailure {
  const { code, originalCode, responseCode, response }: SmtpErrorLike =
    typeof thrown === 'object' && thrown !== null ? thrown : {};
  if (typeof responseCode !== 'number') return { kind: 'transient', summary: connectionSummary(originalCode ?? code) };
  const enhanced = enhancedCodeOf(response);
  return {
    kind: enhanced !== undefined && isMailboxRefusal(responseCode, enhanced) ? 'mailbox_refused' : 'transient',
    smtpCode: responseCode,
    summary: enhanced === undefined ? String(responseCode) : `${responseCode} ${enhanced}`,
  };
}

/** Class 5.1 speaks of addresses; its 5.1.7 and 5.1.8 speak of the sender's, which is our own fault. */
function isMailboxRefusal(responseCode: number, enhanced: string): boolean {
  return responseCode >= 500 && /^5\.1\.\d+$/.test(enhanced) && enhanced !== '5.1.7' && enhanced !== '5.1.8';
}

function enhancedCodeOf(response: unknown): string | undefined {
  return typeof response === 'string' ? /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})\b/.exec(response)?.[1] : undefined;
}

function connectionSummary(code: unknown): string {
  return typeof code === 'string' && /^[A-Z_]{1,32}$/.test(code) ? code : 'unknown failure';
}
