/** Ends with this code. Nothing should be left; a handle that forgot to close must not turn an end into a hang. */
export function endWith(code: number): void {
  process.exitCode = code;
  setTimeout(() => process.exit(), 1_000).unref();
}
