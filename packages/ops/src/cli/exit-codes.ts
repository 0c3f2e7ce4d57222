/** How a command ends. Scripts rely on these numbers, and `docs/reference/cli.md` lists them from here. */
export const exitCodes = {
  done: 0,
  failed: 1,
  misused: 2,
  notFound: 3,
  notPermitted: 4,
  conflict: 5,
  itemsFailed: 6,
  canaryFailed: 7,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitMeanings: Readonly<Record<ExitCode, string>> = {
  0: 'done',
  1: 'failed, or not gone on with',
  2: 'wrong use, or a bad filter',
  3: 'not found',
  4: 'not permitted',
  5: 'conflict: someone else was first; the message says who',
  6: 'the redrive ended with failed items',
  7: 'the canary of the redrive failed',
};

/** Codes whose status alone would say another thing. */
const byCode: Readonly<Record<string, ExitCode>> = { approval_needed: exitCodes.notPermitted };

const byStatus: Readonly<Record<number, ExitCode>> = {
  400: exitCodes.misused,
  401: exitCodes.notPermitted,
  403: exitCodes.notPermitted,
  404: exitCodes.notFound,
  409: exitCodes.conflict,
  410: exitCodes.notFound,
  413: exitCodes.misused,
  422: exitCodes.misused,
};

/** How a command ends whose request was refused. */
export function exitOf({ status, code }: { status: number; code: string }): ExitCode {
  return byCode[code] ?? byStatus[status] ?? exitCodes.failed;
}
