/** Why a dependency counts as down. No host names, no SQL. */
export type CheckFailure = 'timeout' | 'refused' | 'auth' | 'error';

const unreachable = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOENT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH'];
const turnedAway = ['ENETUNREACH', '08001', '08004', '08006', '57P01', '57P02', '57P03', '53300'];
const refused = new Set([...unreachable, ...turnedAway]);
const auth = new Set(['28000', '28P01', '42501']);
const timeout = new Set(['ETIMEDOUT', '57014', '55P03']);

/** Sorts a thrown value into one of the four. */
export function failureOf(thrown: unknown): CheckFailure {
  const { code, message } = describe(thrown);
  if (timeout.has(code) || /timed? ?out|timeout/i.test(message)) return 'timeout';
  if (auth.has(code) || /^(NOAUTH|WRONGPASS|NOPERM)\b|password|authentication/i.test(message)) return 'auth';
  if (
    refused.has(code) ||
    /connection (is closed|terminated|refused)|ECONNREFUSED|isn't writeable|max retries/i.test(message)
  ) {
    return 'refused';
  }
  return 'error';
}

function describe(thrown: unknown): { code: string; message: string } {
  const { code, message, errors } = (thrown ?? {}) as { code?: unknown; message?: unknown; errors?: unknown };
  // Node tries each address of a name and throws all refusals as one.
  if (code === undefined && Array.isArray(errors) && errors.length > 0) return describe(errors[0]);
  return { code: typeof code === 'string' ? code : '', message: typeof message === 'string' ? message : '' };
}
