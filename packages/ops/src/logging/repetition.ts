const windowMs = 60_000;
const firstLines = 10;
const keyLimit = 1_000;

/** Verdict on one error line: write it (naming how many were left out since the last), or leave it out. */
export type Repetition = { write: true; suppressed: number } | { write: false };

interface Window {
  startedAt: number;
  allowed: number;
  written: number;
  suppressed: number;
}

/** Judges identical errors: the first 10 of a minute are written, then one a minute that says how many were not. */
export function createRepetitionGuard(now: () => number): (key: string) => Repetition {
  const windows = new Map<string, Window>();
  return (key) => {
    const at = now();
    let window = windows.get(key);
    if (!window || at - window.startedAt >= windowMs) {
      if (windows.size >= keyLimit) forgetOld(windows, at);
      const suppressed = window?.suppressed ?? 0;
      window = { startedAt: at, allowed: suppressed > 0 ? 1 : firstLines, written: 1, suppressed: 0 };
      windows.set(key, window);
      return { write: true, suppressed };
    }
    if (window.written < window.allowed) {
      window.written += 1;
      return { write: true, suppressed: 0 };
    }
    window.suppressed += 1;
    return { write: false };
  };
}

function forgetOld(windows: Map<string, Window>, at: number) {
  for (const [key, window] of windows) if (at - window.startedAt >= windowMs) windows.delete(key);
  if (windows.size >= keyLimit) windows.clear();
}
