import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Pages that leave too little behind to stop a process for. */
const freePages = 50;
const pagesBetween = 25;

/** Whether an export that has read so many pages should look after their garbage. */
export function isGarbageDue(pages: number): boolean {
  return pages >= freePages && pages % pagesBetween === 0;
}

let collect: (() => void) | undefined;

/**
 * Collects the garbage of this process now. V8 lets the heap of a busy process grow to three times what lives in it before it looks at all of
 * it: measured with exports, 362 MB resident in place of 290. The process stands still for it, 60 ms on an idle machine, so it is not for
 * small files. Collecting as a last resort would come to 206 MB, and stop it for three times as long.
 */
export function collectGarbage(): void {
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
