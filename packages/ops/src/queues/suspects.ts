/**
 * One suspect at a time: a run that crashed a process before may take this one down too,
 * so only one of them runs beside innocent jobs.
 */
export interface Suspects {
  /** Takes the slot for a run that may turn out to be a suspect. False while another one has it. */
  reserve(runKey: string): boolean;
  release(runKey: string): void;
}

export function openSuspects(): Suspects {
  let holder: string | undefined;
  return {
    reserve(runKey) {
      holder ??= runKey;
      return holder === runKey;
    },
    release(runKey) {
      if (holder === runKey) holder = undefined;
    },
  };
}
